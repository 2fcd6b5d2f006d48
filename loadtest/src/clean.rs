//! Makes any file readable as text: bytes of a disk file in, well-formed UTF-8 that XML 1.0
//! allows out, as a stream.
//!
//! Archives are written by many programs, and some put raw control characters or cut characters
//! into them. An XML reader would stop there; this reader mends the place and counts it.

use std::io::{self, BufRead, Read};

/// Read from the source at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// A stream of the same text without what XML 1.0 forbids.
pub(crate) struct Clean<R> {
    source: R,
    /// Text that was mended and not taken yet, from `taken` on.
    text: String,
    taken: usize,
    /// The first bytes of a character whose rest is still to be read; at most 3.
    cut: Vec<u8>,
    ended: bool,
    mended: u64,
}

impl<R: Read> Clean<R> {
    /// Mends what this source gives.
    pub(crate) fn new(source: R) -> Self {
        Self { source, text: String::new(), taken: 0, cut: Vec::new(), ended: false, mended: 0 }
    }

    /// How many places have been mended so far: a forbidden character was taken out, or broken
    /// bytes were replaced by U+FFFD.
    pub(crate) fn mended(&self) -> u64 {
        self.mended
    }

    fn refill(&mut self) -> io::Result<()> {
        self.text.clear();
        self.taken = 0;
        while self.text.is_empty() && !self.ended {
            let mut bytes = std::mem::take(&mut self.cut);
            let read = (&mut self.source).take(CHUNK_BYTES as u64).read_to_end(&mut bytes)?;
            self.ended = read == 0;
            self.mend(&bytes);
        }
        Ok(())
    }

    fn mend(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (valid, broken) = match std::str::from_utf8(bytes) {
                Ok(text) => (text, None),
                Err(error) => {
                    let (valid, rest) = bytes.split_at(error.valid_up_to());
                    let valid = std::str::from_utf8(valid).unwrap_or_default();
                    (valid, Some((rest, error.error_len())))
                }
            };
            self.push_allowed(valid);
            bytes = match broken {
                None => return,
                Some((rest, None)) if !self.ended => {
                    self.cut = rest.to_vec();
                    return;
                }
                Some((rest, length)) => {
                    self.text.push(char::REPLACEMENT_CHARACTER);
                    self.mended += 1;
                    &rest[length.unwrap_or(rest.len())..]
                }
            };
        }
    }

    fn push_allowed(&mut self, text: &str) {
        for c in text.chars() {
            if is_allowed(c) {
                self.text.push(c);
            } else {
                self.mended += 1;
            }
        }
    }
}

/// Whether XML 1.0 (section 2.2) allows this character in a document.
fn is_allowed(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

impl<R: Read> Read for Clean<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Clean<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.text.len() {
            self.refill()?;
        }
        Ok(&self.text.as_bytes()[self.taken..])
    }

    fn consume(&mut self, count: usize) {
        self.taken = (self.taken + count).min(self.text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives its bytes one at a time, so that every character is cut.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(into.len()).min(1);
            (&mut self.0).take(count as u64).read(into)
        }
    }

    fn clean(bytes: &[u8]) -> (String, u64) {
        let mut clean = Clean::new(bytes);
        let mut text = String::new();
        clean.read_to_string(&mut text).unwrap();
        (text, clean.mended())
    }

    #[test]
    fn good_text_passes_unchanged() {
        assert_eq!(clean("前方高能 🎉\t\r\n".as_bytes()), ("前方高能 🎉\t\r\n".into(), 0));
        assert_eq!(clean(b""), (String::new(), 0));
    }

    #[test]
    fn forbidden_characters_are_taken_out_and_counted() {
        assert_eq!(clean(b"a\x00b\x08\x1fc\xef\xbf\xbe"), ("abc".into(), 4));
    }

    #[test]
    fn broken_bytes_are_replaced_and_counted() {
        assert_eq!(clean(b"a\xffb\xe5\x89"), ("a\u{fffd}b\u{fffd}".into(), 2));
        assert_eq!(clean(b"\xe5\x89"), ("\u{fffd}".into(), 1), "cut at the end of the file");
    }

    #[test]
    fn a_chunk_of_nothing_but_forbidden_characters_is_not_the_end() {
        let mut bytes = vec![1; CHUNK_BYTES * 2];
        bytes.push(b'z');
        assert_eq!(clean(&bytes), ("z".into(), CHUNK_BYTES as u64 * 2));
    }

    proptest! {
        #[test]
        fn where_the_source_cuts_makes_no_difference(bytes: Vec<u8>) {
            let mut dripped = String::new();
            let mut clean_drip = Clean::new(Dripping(&bytes));
            clean_drip.read_to_string(&mut dripped).unwrap();
            prop_assert_eq!((dripped, clean_drip.mended()), clean(&bytes));
        }
    }
}
