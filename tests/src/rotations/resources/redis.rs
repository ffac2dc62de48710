//! Redis: users with their own keys.

use secretcache_rotation::{BoxFuture, Document, StrategyName};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::field;
use crate::databases::Database;
use crate::rotations::message::Protocol;
use crate::rotations::resource::{Bare, Resource};

#[derive(Debug)]
pub(in crate::rotations) struct Redis {
    database: Database,
}

impl Redis {
    pub(in crate::rotations) async fn new(database: Database) -> Result<Self, String> {
        let resource = Self { database };
        for user in ["billing", "billing_clone"] {
            let rules = format!("ACL SETUSER {user} on >theirs ~{user}:* +@read +@write");
            resource.as_root(&rules).await?;
        }
        Ok(resource)
    }

    async fn as_root(&self, command: &str) -> Result<String, String> {
        let address = &self.database.address;
        ask(address.port, &format!("AUTH {} {}\r\n{command}\r\n", address.user, address.password)).await
    }
}

/// Sends inline commands, and returns all output until the server closes the connection.
pub(in crate::rotations) async fn ask(port: u16, commands: &str) -> Result<String, String> {
    let talk = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(format!("{commands}QUIT\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    talk.await.map_err(|error: std::io::Error| format!("Redis: {error}"))
}

/// A password as an ACL rule.
fn hash(credential: &Document) -> Result<String, String> {
    let hash = Sha256::digest(field(credential, "password")?);
    Ok(hash.iter().fold("#".to_owned(), |text, byte| format!("{text}{byte:02x}")))
}

impl Resource for Redis {
    fn protocol(&self) -> Protocol {
        Protocol::Redis
    }

    fn port(&self) -> u16 {
        self.database.address.port
    }

    fn prepare<'a>(&'a self, user: &'a str, port: u16) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move {
            let rules = format!("ACL SETUSER {user} on >first ~{user}:* +@read +@write +acl");
            let answer = self.as_root(&rules).await?;
            if !answer.starts_with("+OK\r\n+OK\r\n") {
                return Err(format!("Redis: {answer}"));
            }
            Ok(format!(
                r#"{{"engine":"redis","host":"127.0.0.1","port":{port},"username":"{user}","password":"first"}}"#
            ))
        })
    }

    fn works<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async move {
            let (user, password) = (field(credential, "username")?, field(credential, "password")?);
            // Passwords in these tests have no blanks and no quotes.
            let answer = ask(self.port(), &format!("AUTH {user} {password}\r\nSET {user}:x 1\r\n")).await?;
            match answer {
                answer if answer.starts_with("+OK\r\n+OK\r\n") => Ok(true),
                answer if answer.starts_with("-WRONGPASS") => Ok(false),
                answer => Err(format!("{user}: {answer}")),
            }
        })
    }

    fn change<'a>(&'a self, change: Bare<'a>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let (user, password) = (field(change.login, "username")?, field(change.login, "password")?);
            let mut rules = hash(change.pending)?;
            if change.subject.strategy == StrategyName::DualPassword {
                rules = format!("{rules} {}", hash(change.current)?);
            }
            let whose = field(change.pending, "username")?;
            let commands =
                format!("AUTH {user} {password}\r\nACL SETUSER {whose} resetpass {rules}\r\nACL SAVE\r\n");
            let answer = ask(self.port(), &commands).await?;
            if answer.starts_with("+OK\r\n+OK\r\n+OK\r\n") { Ok(()) } else { Err(answer) }
        })
    }

    fn others(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        Box::pin(async {
            let users = self.as_root("ACL LIST").await?;
            let is_other = |line: &&str| line.starts_with("user ") && !line.starts_with("user app_");
            Ok(users.lines().filter(is_other).map(str::to_owned).collect())
        })
    }

    fn administrator(&self) -> Option<(String, String)> {
        Some((self.database.address.user.to_owned(), self.database.address.password.clone()))
    }
}
