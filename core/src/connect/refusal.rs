//! What servers say when they refuse a login, for drivers that hand on nothing but the text.

/// The sentences of PostgreSQL's translations, in the order of their catalogues: C, de, es, fr, it, ja, ka, ko, ru, sv,
/// uk, `zh_CN`, `zh_TW`. Of each only what does not depend on the user's name. (PgBouncer says the first of them, too.)
const POSTGRES: [&str; 13] = [
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
    "密碼驗證使用者",
];
/// What stands before PostgreSQL: PgBouncer, then RDS Proxy
/// (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.troubleshooting.html>), which has no credentials for
/// a user whose version of the secret is not the current one.
const PROXIES: [&str; 3] = [
    "SASL authentication failed",
    "The password that was provided for the role",
    "This RDS proxy has no credentials for the role",
];
/// MySQL and MariaDB, in English; their drivers give the number 1045, whatever the language.
const MYSQL: &str = "Access denied for user";
/// Redis, which speaks English only. Drivers leave out the code, or the sentence.
const REDIS: [&str; 2] = ["WRONGPASS", "invalid username-password pair"];

/// Whether an error's message says that user name or password are refused.
///
/// For drivers that give no code: libpq, and with it psycopg and psycopg2, has none for a failed connection, and speaks
/// the language that the server's `lc_messages` asks for. Where a driver gives a code (SQLSTATE 28P01 or 28000, MySQL's
/// 1045), look at that instead.
///
/// ```
/// use secretcache::says_login_refused;
///
/// assert!(says_login_refused(r#"FATAL:  password authentication failed for user "app""#));
/// assert!(says_login_refused("FATAL:  Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen"));
/// assert!(!says_login_refused(r#"FATAL:  database "shop" does not exist"#));
/// ```
pub fn says_login_refused(message: &str) -> bool {
    POSTGRES.iter().chain(&PROXIES).chain([&MYSQL]).chain(&REDIS).any(|sentence| message.contains(sentence))
}
