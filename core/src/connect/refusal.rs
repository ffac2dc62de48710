//! Recognizes the errors that mean a refused login, for every language.

/// PostgreSQL's message in all its translations, in the order of their catalogues: C, de, es, fr, it, ja, ka, ko, ru,
/// sv, uk, `zh_CN` (twice: its releases differ), `zh_TW`. Only the part of each that does not depend on the user's
/// name. (PgBouncer uses the first one too.)
const POSTGRES: [&str; 14] = [
    "password authentication failed",
    "Passwort-Authentifizierung für Benutzer",
    "la autentificación password falló para el usuario",
    "authentification par mot de passe échouée pour l'utilisateur",
    "autenticazione con password fallita per l'utente",
    "のパスワード認証に失敗しました",
    "პაროლით ავთენტიფიკაცია მომხმარებლისთვის",
    "의 password 인증을 실패했습니다",
    "не прошёл проверку подлинности (по паролю)",
    "Lösenordsautentisering misslyckades för användare",
    "не пройшов автентифікацію за допомогою пароля",
    "的密码认证失败",
    "Password 认证失败",
    "密碼驗證使用者",
];
/// PostgreSQL that delegates password checks, in English. RDS uses the first message for an IAM token.
const ASKING: [&str; 3] = [
    "PAM authentication failed for user",
    "LDAP authentication failed for user",
    "RADIUS authentication failed for user",
];
/// Proxies in front of PostgreSQL: PgBouncer, whose releases and methods have three texts of their own, then RDS Proxy
/// (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.troubleshooting.html>), which has no credentials
/// for a user whose version of the secret is not the current one.
const PROXIES: [&str; 5] = [
    "SASL authentication failed",
    "no such user",
    "auth failed",
    "The password that was provided for the role",
    "This RDS proxy has no credentials for the role",
];
/// MySQL and MariaDB, in English; their drivers give the number 1045, whatever the language.
const MYSQL: &str = "Access denied for user";
/// Redis, in English only. Some drivers leave out the code, others the sentence.
const REDIS: [&str; 2] = ["WRONGPASS", "invalid username-password pair"];
/// RabbitMQ, in English only.
const RABBITMQ: &str = "ACCESS_REFUSED - Login was refused";
/// RabbitMQ's code. It is also used if a user who has logged in lacks a permission, so the text decides.
const ACCESS_REFUSED: &str = "403";

/// Codes that mean a refused login whatever the text: PostgreSQL's SQLSTATEs for a wrong password and for an invalid
/// authorization specification; MySQL's and MariaDB's for a wrong password or method, an expired password, and an
/// account that is locked, by an administrator or after too many logins, as numbers and as names; Redis's; HTTP's.
const CODES: [&str; 15] = [
    "28P01",
    "28000",
    "1045",
    "1698",
    "1862",
    "3118",
    "3955",
    "4151",
    "ER_ACCESS_DENIED_ERROR",
    "ER_ACCESS_DENIED_NO_PASSWORD_ERROR",
    "ER_MUST_CHANGE_PASSWORD_LOGIN",
    "ER_ACCOUNT_HAS_BEEN_LOCKED",
    "ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK",
    "WRONGPASS",
    "401",
];
/// PostgreSQL's code for a protocol violation. Poolers and proxies use it for any problem, including refused logins, so
/// the text decides.
const PROTOCOL_VIOLATION: &str = "08P01";

/// Whether a driver's error means that the resource refuses user name or password.
///
/// `code` is the driver's error code: an SQLSTATE, a MySQL number or name, Redis's first word, RabbitMQ's reply code,
/// or an HTTP status. If there is one, it decides, so that the text of another failure is never mistaken for a refusal.
/// But poolers use `08P01`, and some drivers have no code at all. Then the text decides: for a failed connection,
/// libpq, and with it psycopg and psycopg2, passes on nothing else, in the language of the server's `lc_messages`.
///
/// ```
/// use secretcache::login_refused;
///
/// assert!(login_refused(Some("28P01"), ""));
/// assert!(login_refused(None, r#"FATAL:  password authentication failed for user "app""#));
/// assert!(login_refused(Some("08P01"), "SASL authentication failed"));
/// assert!(!login_refused(Some("08P01"), "no more connections allowed"));
/// assert!(!login_refused(Some("3D000"), r#"database "password authentication failed" does not exist"#));
/// ```
pub fn login_refused(code: Option<&str>, text: &str) -> bool {
    match code.filter(|code| !code.is_empty()) {
        Some(ACCESS_REFUSED) => text.contains(RABBITMQ),
        Some(code) if code != PROTOCOL_VIOLATION => CODES.contains(&code),
        _ => POSTGRES
            .iter()
            .chain(&ASKING)
            .chain(&PROXIES)
            .chain([&MYSQL, &RABBITMQ])
            .chain(&REDIS)
            .any(|said| text.contains(said)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rabbitmq_refusing_a_login_is_distinguished_from_rabbitmq_refusing_a_queue() {
        let login =
            "(403) ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see";
        assert!(login_refused(None, login) && login_refused(Some("403"), login));
        let queue = "(403) ACCESS_REFUSED - read access to queue 'mail' in vhost '/' refused for user 'app'";
        assert!(!login_refused(None, queue) && !login_refused(Some("403"), queue));
    }

    #[test]
    fn postgres_refusing_a_token_is_understood() {
        assert!(login_refused(None, r#"FATAL:  PAM authentication failed for user "app""#));
        assert!(!login_refused(None, "FATAL:  no pg_hba.conf entry for host"));
    }

    #[test]
    fn an_account_that_mysql_has_locked_or_whose_password_expired_refuses_the_login() {
        for code in
            ["1862", "3118", "3955", "4151", "ER_ACCOUNT_HAS_BEEN_LOCKED", "ER_MUST_CHANGE_PASSWORD_LOGIN"]
        {
            assert!(login_refused(Some(code), ""), "{code}");
        }
        assert!(!login_refused(Some("1040"), "Too many connections"));
    }

    #[test]
    fn test_n2_a_pooler_or_proxy_that_refuses_a_login_is_understood() {
        for text in [
            "SASL authentication failed",
            "no such user",
            "FATAL:  auth failed",
            "The password that was provided for the role app is wrong.",
            "This RDS proxy has no credentials for the role app. Check the credentials for this role and try again.",
            r#"password authentication failed for user "app""#,
        ] {
            assert!(login_refused(Some("08P01"), text), "{text}");
            assert!(login_refused(None, text), "{text}");
        }
        assert!(!login_refused(Some("08P01"), "invalid message format"));
        assert!(!login_refused(Some("57P03"), "SASL authentication failed"), "a code of its own decides");
    }
}
