//! Percent-encoding, as values stand in URLs.

use zeroize::Zeroizing;

/// Appends a value with every byte encoded that could mean something in a URL.
pub(crate) fn encode(value: &str, into: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => into.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => into.push(byte.into()),
            _ => into.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// A text with what is encoded in it decoded; a percent sign that encodes nothing stands for itself.
pub(crate) fn decode(text: &str) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let encoded = after.get(..2).filter(|_| *first == b'%');
        let encoded = encoded.and_then(|digits| std::str::from_utf8(digits).ok());
        match encoded.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
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
        assert_eq!(*decode("%zz%4"), "%zz%4");
    }
}
