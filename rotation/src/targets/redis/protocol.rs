//! The part of the Redis protocol that rotation needs: commands and their replies.

use std::fmt::Write as _;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection to a server.
pub(super) type Session = Box<dyn Stream>;

/// A server's reply. Error replies are the inner [`Err`] of [`command`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// A status, a number or a string.
    Text(String),
    List(Vec<Answer>),
    Nothing,
}

impl Answer {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }
}

/// The size limit of a string or list in a reply. Replies to our commands stay below it.
const MOST_BYTES: usize = 1 << 20;

/// Sends a command and reads the reply. The inner error is the server's error reply.
pub(super) async fn command(session: &mut Session, words: &[&str]) -> Result<Result<Answer, String>, Error> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    let _ = write!(text, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(text, "${}\r\n{word}\r\n", word.len());
    }
    session.write_all(text.as_bytes()).await.map_err(lost)?;
    session.flush().await.map_err(lost)?;
    // Nested lists are read without recursion. Each open list has its length and the answers read so far.
    let mut open: Vec<(usize, Vec<Answer>)> = Vec::new();
    loop {
        let line = line(session).await?;
        let number = || line.get(1..).and_then(|digits| digits.parse::<i64>().ok()).ok_or_else(strange);
        let mut answer = match line.chars().next() {
            Some('-') if open.is_empty() => return Ok(Err(line[1..].to_owned())),
            Some('+' | ':') => Answer::Text(line[1..].to_owned()),
            Some('$') => match usize::try_from(number()?) {
                Err(_) => Answer::Nothing,
                Ok(length) if length > MOST_BYTES => return Err(strange()),
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    session.read_exact(&mut bytes).await.map_err(lost)?;
                    bytes.truncate(length);
                    Answer::Text(String::from_utf8_lossy(&bytes).into_owned())
                }
            },
            Some('*') => match usize::try_from(number()?) {
                Err(_) => Answer::Nothing,
                Ok(0) => Answer::List(Vec::new()),
                Ok(length) if length > MOST_BYTES || open.len() > 8 => return Err(strange()),
                Ok(length) => {
                    open.push((length, Vec::new()));
                    continue;
                }
            },
            _ => return Err(strange()),
        };
        loop {
            let Some((wanted, list)) = open.last_mut() else { return Ok(Ok(answer)) };
            list.push(answer);
            if list.len() < *wanted {
                break;
            }
            answer = Answer::List(open.pop().map(|(_, list)| list).unwrap_or_default());
        }
    }
}

async fn line(session: &mut Session) -> Result<String, Error> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") && line.len() < 4096 {
        line.push(session.read_u8().await.map_err(lost)?);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn lost(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the connection to Redis broke").with_source(error)
}

fn strange() -> Error {
    Error::new(ErrorKind::Unavailable, "the server does not speak Redis's protocol")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn answers_of_every_shape_are_read() {
        let text = |text: &str| Answer::Text(text.to_owned());
        for (sent, read) in [
            ("+OK\r\n", Ok(text("OK"))),
            ("-NOPERM no\r\n", Err("NOPERM no".to_owned())),
            (":7\r\n", Ok(text("7"))),
            ("$5\r\na\r\nbc\r\n", Ok(text("a\r\nbc"))),
            ("$-1\r\n", Ok(Answer::Nothing)),
            (
                "*3\r\n$6\r\nmaster\r\n:0\r\n*1\r\n*2\r\n$1\r\nh\r\n$1\r\n1\r\n",
                Ok(Answer::List(vec![
                    text("master"),
                    text("0"),
                    Answer::List(vec![Answer::List(vec![text("h"), text("1")])]),
                ])),
            ),
            ("*2\r\n*0\r\n*-1\r\n", Ok(Answer::List(vec![Answer::List(vec![]), Answer::Nothing]))),
        ] {
            let (ours, mut theirs) = tokio::io::duplex(1024);
            theirs.write_all(sent.as_bytes()).await.unwrap();
            let mut session: Session = Box::new(ours);
            assert_eq!(command(&mut session, &["ROLE"]).await.unwrap(), read, "{sent}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_is_an_answer_or_an_error(
            said in prop::collection::vec(
                prop::sample::select(vec!["*1\r\n", "*2\r\n", "$1\r\n", "$-1\r\n", ":", "+", "-", "9", "x", "\r\n", "\u{fe}"]),
                0..30,
            ),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (ours, mut theirs) = tokio::io::duplex(1024);
                theirs.write_all(said.concat().as_bytes()).await.unwrap();
                drop(theirs);
                let mut session: Session = Box::new(ours);
                let _ = command(&mut session, &["ROLE"]).await;
            });
        }
    }
}
