//! Documents: their links lead somewhere, and nothing speaks of one person's machine.

use crate::assert_none;
use crate::repository::{FILES, PATHS};

#[test]
fn every_link_to_a_file_of_the_repository_resolves() {
    let mut broken = Vec::new();
    for file in FILES.iter().filter(|file| file.has_ending(&["md"])) {
        for link in links(&file.text) {
            if !resolve(&file.path, link).is_some_and(|path| exists(&path)) {
                broken.push(format!("{}: {link}", file.path));
            }
        }
    }
    assert_none("links to what git does not track", &broken);
}

/// Whether git tracks the file, or something in the folder.
fn exists(path: &str) -> bool {
    let is_in = |tracked: &str| {
        let rest = tracked.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    path.is_empty() || PATHS.iter().any(|tracked| is_in(tracked))
}

/// The targets of links and pictures that are no addresses elsewhere, outside of code blocks.
fn links(markdown: &str) -> Vec<&str> {
    let mut links = Vec::new();
    for line in prose(markdown) {
        for (opening, closing) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
            for (at, _) in line.match_indices(opening) {
                let target = line[at + opening.len()..].split([closing, ' ', '#']).next();
                let target = target.unwrap_or_default();
                if !target.is_empty() && !target.contains(':') {
                    links.push(target);
                }
            }
        }
    }
    links
}

/// The lines of a document that are not in a code block.
fn prose(markdown: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    markdown.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// The path of a link from the repository's root; none if it leads out of it.
fn resolve(from: &str, link: &str) -> Option<String> {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut path: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(link.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(path.pop()?),
            part => path.push(part),
        }
    }
    Some(path.join("/"))
}

#[test]
fn both_readmes_have_the_same_parts() {
    let headings = |path: &str| {
        let readme = FILES.iter().find(|file| file.path == path);
        let readme = &readme.unwrap_or_else(|| panic!("there is no {path}")).text;
        prose(readme).filter(|line| line.starts_with('#')).count()
    };
    assert_eq!(headings("README.md"), headings("README.zh-CN.md"));
}

#[test]
fn no_file_names_a_path_of_somebody_s_machine() {
    let mut violations = Vec::new();
    for file in FILES.iter() {
        for (number, line) in file.text.lines().enumerate() {
            if names_a_home(line) {
                violations.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("absolute paths", &violations);
}

fn names_a_home(line: &str) -> bool {
    let homes = ["home", "root", "work", "Users"].map(|folder| format!("/{folder}/"));
    homes.iter().any(|home| {
        line.match_indices(home.as_str()).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + home.len()..].chars().next();
            let begins = before.is_none_or(|c| !c.is_alphanumeric() && !"_-.~/}".contains(c));
            begins && after.is_some_and(|c| c.is_alphanumeric() || c == '.')
        })
    })
}

#[test]
fn links_are_found_in_prose_only() {
    let markdown =
        "[a](b.md#c) ![d](e/f.png \"g\") [h](https://i) [j](#k)\n```\n[l](m)\n```\n<img src=\"n\">";
    assert_eq!(links(markdown), ["b.md", "e/f.png", "n"]);
}

#[test]
fn link_is_read_from_its_own_folder() {
    assert_eq!(resolve("docs/a.md", "../web/b.js").as_deref(), Some("web/b.js"));
    assert_eq!(resolve("README.md", "./docs/").as_deref(), Some("docs"));
    assert_eq!(resolve("docs/a.md", "../../elsewhere"), None);
}

#[test]
fn home_is_told_from_a_part_of_an_address() {
    let home = ["", "home", "ann"].join("/");
    assert!(names_a_home(&home) && names_a_home(&format!("(`{home}/x`")));
    assert!(!names_a_home(&format!("https://example.org{home}")));
    assert!(!names_a_home("a /home page"));
}
