//! Percent-encoding of values in URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

/// Every byte that can have a meaning in a URL.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Appends a value with reserved bytes encoded.
pub(crate) fn encode(value: &str, into: &mut String) {
    into.extend(utf8_percent_encode(value, RESERVED));
}

/// Decodes a text. A percent sign that is not part of an encoding stays as it is.
pub(crate) fn decode(text: &str) -> Zeroizing<String> {
    // Allocated at the maximum length: a vector that grows leaves copies of the secret in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    bytes.extend(percent_decode_str(text));
    Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for value in ["", "a-b_c.d~", "p@ss/w:rd?#%41 ü", "100%"] {
            let mut text = String::new();
            encode(value, &mut text);
            assert!(!text.contains(['@', '/', ':', '?', '#', ' ']), "{text}");
            assert_eq!(*decode(&text), value);
        }
        assert_eq!(*decode("100%"), "100%");
        assert_eq!(*decode("%zz%4%+f"), "%zz%4%+f");
    }
}
