//! Just enough of Rust's grammar to tell code from comments, strings and tests.

/// The source with comments, strings and characters blanked; lines stay where they are.
pub(crate) fn code(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let (kept, length) = match blank_length(rest) {
            0 => (true, next.len_utf8()),
            length => (false, length),
        };
        let (token, after) = rest.split_at(length);
        code.extend(token.chars().map(|c| if kept || c == '\n' { c } else { ' ' }));
        rest = after;
    }
    code
}

/// How many bytes at the start of `rest` are not code.
fn blank_length(rest: &str) -> usize {
    let to = |end: Option<usize>| end.unwrap_or(rest.len());
    let hashes = rest.strip_prefix('r').map_or(0, |r| r.len() - r.trim_start_matches('#').len());
    if rest.starts_with("//") {
        to(rest.find('\n'))
    } else if rest.starts_with("/*") {
        block_comment_length(rest)
    } else if rest.starts_with('r') && rest[1 + hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let start = hashes + 2;
        to(rest[start..].find(&end).map(|at| start + at + end.len()))
    } else if rest.starts_with('"') {
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|&(_, c)| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        to(end.map(|(at, _)| at + 1))
    } else if let Some(character) = rest.strip_prefix('\'') {
        let mut chars = character.chars();
        match (chars.next(), chars.next()) {
            (Some('\\'), Some(escaped)) => {
                let start = 2 + escaped.len_utf8();
                to(rest[start..].find('\'').map(|at| start + at + 1))
            }
            (Some(c), Some('\'')) => c.len_utf8() + 2,
            _ => 0, // a lifetime
        }
    } else {
        0
    }
}

fn block_comment_length(rest: &str) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    while let Some(step) = rest[at..].find("*/").map(|close| {
        let open = rest[at..].find("/*").filter(|&open| open < close);
        (open.unwrap_or(close) + 2, open.is_some())
    }) {
        at += step.0;
        depth = if step.1 { depth + 1 } else { depth.saturating_sub(1) };
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The source less a test module at its end.
pub(crate) fn without_tests(source: &str) -> &str {
    match source.find("\n#[cfg(test)]\nmod tests {") {
        Some(at) => &source[..=at],
        None => source,
    }
}

/// The test module at the end of the source, if it has one.
pub(crate) fn tests_of(source: &str) -> &str {
    &source[without_tests(source).len()..]
}

/// Whether `word` stands in the text, and not as a part of a longer name.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let longer_before = word.starts_with(in_name) && text[..at].ends_with(in_name);
        let longer_after = word.ends_with(in_name) && text[at + word.len()..].starts_with(in_name);
        !longer_before && !longer_after
    })
}

/// Every path that is imported, one per line: `use a::{b, c::d};` imports `a::b` and `a::c::d`.
pub(crate) fn imports(code: &str) -> String {
    let mut paths = String::new();
    for (at, _) in code.match_indices("use ") {
        let starts = code[..at].chars().next_back().is_none_or(char::is_whitespace);
        if let Some(end) = code[at..].find(';').filter(|_| starts) {
            let tree: String = code[at + 4..at + end].split_whitespace().collect();
            expand("", &tree, &mut paths);
        }
    }
    paths
}

fn expand(prefix: &str, tree: &str, paths: &mut String) {
    let Some((path, group)) = tree.split_once('{') else {
        paths.push_str(&format!("{prefix}{tree}\n"));
        return;
    };
    let prefix = format!("{prefix}{path}");
    let (mut depth, mut start) = (0_u32, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                if start < at {
                    expand(&prefix, &group[start..at], paths);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

#[test]
fn comments_strings_and_characters_are_no_code() {
    let source = "let a = \"tokio \\\" x\"; // rand\n/* a /* b */ Mutex */ b'\\''; r#\"dbg!\"#; 'x' f::<'a>()";
    let words = code(source).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words, "let a = ; b ; ; f::<'a>()");
    assert_eq!(code("\"never closed"), " ".repeat(13));
}

#[test]
fn word_is_found_whole_only() {
    assert!(has_word("std::time::Instant;", "Instant") && has_word("dbg!(x)", "dbg!"));
    assert!(!has_word("InstantLike WebSocket", "Instant") && !has_word("WebSocket", "Socket"));
    assert!(has_word("crate::hub::Hub", "crate::hub") && !has_word("crate::hubs", "crate::hub"));
}

#[test]
fn grouped_imports_are_taken_apart() {
    let code = "pub(crate) use crate::{hub::{self, Hub}, shard};\nuse x as y;\nlet reuse = 1;";
    assert_eq!(imports(code), "crate::hub::self\ncrate::hub::Hub\ncrate::shard\nxasy\n");
}

#[test]
fn tests_at_the_end_are_told_from_the_rest() {
    let source = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n";
    assert_eq!(without_tests(source), "fn a() {}\n\n");
    assert_eq!(tests_of(source), "#[cfg(test)]\nmod tests {\n}\n");
    let elsewhere = "mod a;\n#[cfg(test)]\nmod tests;\n";
    assert_eq!(without_tests(elsewhere), elsewhere);
}
