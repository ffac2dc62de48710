//! Limits how deep elements are nested in what a directory says. The driver takes room on the stack for each level, and
//! a full stack ends the whole process.

use std::io;

use crate::targets::inspected::Inspect;

/// The deepest nesting that is passed on. Answers to our requests have five levels.
const DEEPEST: usize = 50;

/// The place in a message's elements (BER), which can arrive in pieces.
#[derive(Default)]
pub(super) struct Nesting {
    /// The bytes left of each open element, from the outside, and whether it consists of elements.
    open: Vec<(usize, bool)>,
    /// What has arrived of the next element's tag and length.
    header: Vec<u8>,
}

impl Nesting {
    /// Follows more bytes; `false` if elements are nested too deep, or longer than the element around them.
    fn follow(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            while let Some((0, _)) = self.open.last() {
                self.open.pop();
            }
            if let Some((left, false)) = self.open.last_mut() {
                let here = bytes.len().min(*left);
                *left -= here;
                bytes = &bytes[here..];
            }
            let Some((first, rest)) = bytes.split_first() else { return true };
            if let Some((0, _)) = self.open.last() {
                continue;
            }
            bytes = rest;
            self.header.push(*first);
            let Some(length) = length(&self.header) else { continue };
            if let Some((left, _)) = self.open.last_mut() {
                let Some(after) = left.checked_sub(self.header.len().saturating_add(length)) else {
                    return false;
                };
                *left = after;
            }
            self.open.push((length, self.header[0] & 0x20 != 0));
            self.header.clear();
            if self.open.len() > DEEPEST {
                return false;
            }
        }
    }
}

/// Returns the length of an element, read as the driver does; `None` if more of its header is needed.
fn length(header: &[u8]) -> Option<usize> {
    let first = *header.get(1)?;
    let Some(bytes) = first.checked_sub(0x80) else { return Some(first.into()) };
    let bytes = header.get(2..2 + usize::from(bytes))?;
    let length = bytes.iter().fold(0_u64, |length, byte| (length << 8) | u64::from(*byte));
    Some(usize::try_from(length).unwrap_or(usize::MAX))
}

impl Inspect for Nesting {
    fn inspect(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.follow(bytes) {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "no message of LDAP"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a message passes, whole and byte by byte.
    fn passes(message: &[u8]) -> bool {
        let whole = Nesting::default().follow(message);
        let mut nesting = Nesting::default();
        assert_eq!(message.iter().all(|byte| nesting.follow(&[*byte])), whole, "{message:?}");
        whole
    }

    fn nested(levels: usize) -> Vec<u8> {
        let mut size = 0_u32;
        let mut headers: Vec<_> = (0..levels)
            .map(|_| {
                let header = [&[0x30, 0x84], &size.to_be_bytes()[..]].concat();
                size += 6;
                header
            })
            .collect();
        headers.reverse();
        headers.concat()
    }

    #[test]
    fn only_messages_of_few_levels_pass() {
        let bound = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert!(passes(bound) && passes(&[&bound[..], bound].concat()) && passes(b""));
        assert!(passes(&nested(50)));
        assert!(!passes(&nested(51)) && !passes(&nested(60_000)));
        assert!(passes(&[nested(50), nested(50)].concat()), "one after the other");
        assert!(!passes(b"\x30\x02\x04\x05abcde"), "longer than what it is in");
        assert!(passes(b"\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff\x04\x01a"));
    }
}
