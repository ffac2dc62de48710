//! Version ids that two drivers of one rotation derive independently.

use sha1::{Digest, Sha1};

/// Derives the id of the version that the `attempt`-th rotation away from a version makes: a UUID version 5 of the
/// secret's ARN, the id of the current version, and `attempt`.
///
/// A version's value never changes once stored, so two drivers that derive the same id cannot both store a value:
/// `PutSecretValue` acts as a compare-and-swap, and the loser reads what the winner stored.
///
/// ```
/// use secretcache_rotation::derive_token;
///
/// let token = derive_token("arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf", "v-1", 0);
/// assert_eq!(token.len(), 36);
/// assert_ne!(token, derive_token("arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf", "v-1", 1));
/// ```
pub fn derive_token(secret_arn: &str, current_version_id: &str, attempt: u32) -> String {
    let mut hash = Sha1::new();
    hash.update(NAMESPACE);
    for part in [secret_arn, current_version_id, &attempt.to_string()] {
        hash.update(part.as_bytes());
        // No part contains a zero byte, so different triples always give different inputs.
        hash.update([0]);
    }
    let mut uuid: [u8; 16] = [0; 16];
    uuid.copy_from_slice(&hash.finalize()[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x50;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A random UUID, generated once as the namespace.
const NAMESPACE: [u8; 16] =
    [0x6d, 0x1a, 0x0f, 0x5c, 0x3e, 0x97, 0x4b, 0x2d, 0x9c, 0x41, 0x58, 0xe0, 0x7b, 0xd4, 0x16, 0xaa];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_stable_and_of_version_5() {
        let token = derive_token("arn", "v", 0);
        assert_eq!(token, derive_token("arn", "v", 0));
        assert_eq!((&token[14..15], token.len()), ("5", 36));
        assert!(matches!(&token[19..20], "8" | "9" | "a" | "b"));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(derive_token("ab", "c", 0), derive_token("a", "bc", 0));
        assert_ne!(derive_token("a", "b1", 0), derive_token("a", "b", 10));
    }
}
