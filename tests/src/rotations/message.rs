//! Classifies a message from a rotation to a server: complete or not, a query or an effect.
//!
//! Anything not known to be a query counts as an effect.

/// The protocol of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Postgres,
    MySql,
    Redis,
    Http,
}

impl Protocol {
    /// Whether a request has arrived completely.
    pub(super) fn is_whole(self, request: &[u8]) -> bool {
        match self {
            // The first message of a connection has no type, only a length.
            Self::Postgres => match request.first_chunk::<4>() {
                Some(length @ [0, ..]) => request.len() >= u32::from_be_bytes(*length) as usize,
                _ => postgres_messages(request).is_some(),
            },
            Self::MySql => mysql_packets(request).is_some(),
            Self::Redis => request.ends_with(b"\r\n"),
            Self::Http => is_whole_http(request),
        }
    }

    /// Whether the response to an effect has arrived completely.
    pub(super) fn is_answered(self, reply: &[u8]) -> bool {
        match self {
            // "Ready for query" comes last.
            Self::Postgres => reply.len() >= 6 && reply[reply.len() - 6..].starts_with(b"Z\0\0\0\x05"),
            Self::MySql => mysql_packets(reply).is_some_and(|packets| !packets.is_empty()),
            Self::Redis => reply.ends_with(b"\r\n"),
            Self::Http => is_whole_http(reply),
        }
    }

    /// Describes what a request changes, without any value. `None` if it only queries.
    pub(super) fn effect(self, request: &[u8]) -> Option<String> {
        match self {
            Self::Postgres => postgres_messages(request)?.into_iter().find_map(|(kind, body)| match kind {
                b'Q' => effect_of_sql(body),
                b'P' => effect_of_sql(body.splitn(2, |byte| *byte == 0).nth(1)?),
                _ => None,
            }),
            Self::MySql => mysql_packets(request)?.into_iter().find_map(|(number, body)| match body {
                [3 | 0x16, sql @ ..] if number == 0 => effect_of_sql(sql),
                _ => None,
            }),
            Self::Redis => effect_of_redis(request),
            Self::Http => effect_of_http(&String::from_utf8_lossy(request)),
        }
    }
}

/// Splits a text into messages, each with type and body.
fn postgres_messages(mut text: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut messages = Vec::new();
    while let [kind, rest @ ..] = text {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        messages.push((*kind, rest.get(4..length)?));
        text = &rest[length..];
    }
    Some(messages)
}

/// Splits a text into packets, each with sequence number and body.
fn mysql_packets(mut text: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut packets = Vec::new();
    while let [a, b, c, number, rest @ ..] = text {
        let length = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
        packets.push((*number, rest.get(..length)?));
        text = &rest[length..];
    }
    text.is_empty().then_some(packets)
}

fn is_whole_http(text: &[u8]) -> bool {
    let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&text[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    text.len() >= end + 4 + length
}

fn effect_of_sql(sql: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(sql);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let mut words =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let (first, second) = (words.next()?.to_ascii_uppercase(), words.next().unwrap_or_default());
    match first.as_str() {
        "SELECT" | "SHOW" | "WITH" => None,
        // Every transaction starts with these. Its changes come in separate messages, except for the lock.
        "BEGIN" if second == "SET" => text.contains("advisory").then(|| "take the lock".to_owned()),
        "GRANT" | "REVOKE" => Some(first),
        _ => Some(format!("{first} {second}")),
    }
}

fn effect_of_redis(request: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(request);
    // A command is an array of strings, each on its own line after a line with its length.
    let words: Vec<_> = text.split("\r\n").skip(2).step_by(2).take(2).collect();
    match words[..] {
        ["AUTH" | "HELLO" | "PING", ..] => None,
        ["ACL", action] => Some(format!("ACL {action}")),
        _ => Some(words.first().map_or_else(String::new, |word| (*word).to_owned())),
    }
}

fn effect_of_http(request: &str) -> Option<String> {
    let target = request.lines().find_map(|line| line.strip_prefix("x-amz-target: secretsmanager."));
    let Some(operation) = target else {
        let method = request.split(' ').next().unwrap_or_default();
        return (method != "GET").then(|| format!("{method} key"));
    };
    match operation {
        "UpdateSecretVersionStage" if request.contains("\"AWSCURRENT\"") => Some(FLIP.to_owned()),
        "UpdateSecretVersionStage" => Some("UpdateSecretVersionStage AWSPENDING".to_owned()),
        _ if ["Describe", "Get", "List"].iter().any(|asking| operation.starts_with(asking)) => None,
        _ => Some(operation.to_owned()),
    }
}

/// The effect that makes a new version current.
pub(super) const FLIP: &str = "UpdateSecretVersionStage AWSCURRENT";

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(kind: u8, sql: &str) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend((sql.len() as u32 + 4).to_be_bytes());
        message.extend(sql.as_bytes());
        message
    }

    #[test]
    fn questions_pass_and_whatever_is_not_known_to_be_one_is_an_effect() {
        for (sql, effect) in [
            ("SELECT 1\0", None),
            ("BEGIN; SET LOCAL search_path TO pg_catalog, pg_temp;\0", None),
            ("BEGIN; SET LOCAL a TO b; SELECT pg_try_advisory_xact_lock(1)\0", Some("take the lock")),
            ("ALTER ROLE \"app\" WITH PASSWORD 'canary'\0", Some("ALTER ROLE")),
            ("BEGIN;GRANT a TO b;COMMIT\0", Some("BEGIN GRANT")),
            ("VACUUM\0", Some("VACUUM ")),
        ] {
            assert_eq!(Protocol::Postgres.effect(&postgres(b'Q', sql)).as_deref(), effect);
        }
        assert_eq!(Protocol::Postgres.effect(&postgres(b'P', "s0\0SELECT $1\0")), None);
        assert_eq!(
            Protocol::Postgres.effect(&postgres(b'P', "s0\0DELETE FROM x\0")).as_deref(),
            Some("DELETE FROM")
        );
        let set_password = b"\x12\0\0\0\x03SET PASSWORD = ''";
        assert_eq!(Protocol::MySql.effect(set_password).as_deref(), Some("SET PASSWORD"));
        assert_eq!(Protocol::MySql.effect(b"\x02\0\0\x01\x03X"), None, "an answer to the server's greeting");
        let redis = b"*2\r\n$3\r\nACL\r\n$4\r\nSAVE\r\n";
        assert_eq!(Protocol::Redis.effect(redis).as_deref(), Some("ACL SAVE"));
        assert_eq!(Protocol::Redis.effect(b"*3\r\n$4\r\nAUTH\r\n$1\r\na\r\n$1\r\nb\r\n"), None);
        let http = |head: &str, body: &str| format!("POST / HTTP/1.1\r\n{head}\r\n\r\n{body}").into_bytes();
        assert_eq!(Protocol::Http.effect(&http("x-amz-target: secretsmanager.DescribeSecret", "{}")), None);
        let flip =
            http("x-amz-target: secretsmanager.UpdateSecretVersionStage", r#"{"VersionStage":"AWSCURRENT"}"#);
        assert_eq!(Protocol::Http.effect(&flip).as_deref(), Some(FLIP));
        assert_eq!(Protocol::Http.effect(&http("accept: */*", "{}")).as_deref(), Some("POST key"));
    }

    #[test]
    fn a_message_is_waited_for() {
        let message = postgres(b'Q', "ALTER ROLE a PASSWORD 'b'\0");
        assert!(Protocol::Postgres.is_whole(&message));
        assert!(!Protocol::Postgres.is_whole(&message[..9]));
        assert!(!Protocol::Postgres.is_whole(b"\0\0\0\x09\0\x03\0\0"));
        assert!(Protocol::Postgres.is_whole(b"\0\0\0\x09\0\x03\0\0\0"));
        assert!(!Protocol::MySql.is_whole(b"\x05\0\0\0\x03SE"));
        for protocol in [Protocol::Postgres, Protocol::MySql, Protocol::Redis, Protocol::Http] {
            assert!(!protocol.is_answered(b""), "{protocol:?}");
        }
        let request = b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab";
        assert!(!Protocol::Http.is_whole(request));
        assert!(Protocol::Http.is_whole(&[request.as_slice(), b"c"].concat()));
    }
}
