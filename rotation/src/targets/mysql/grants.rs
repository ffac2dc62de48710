//! Parses the lines of `SHOW GRANTS`, so that the grants can be made to another account.

use super::dialect::Dialect;

/// One privilege or role of an account, without the grantee. A line of `SHOW GRANTS` can list several.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Grant {
    /// `GRANT`, `SET DEFAULT ROLE`, or `REVOKE`. MySQL lists the exceptions to a privilege on everything as `REVOKE`.
    verb: &'static str,
    /// A privilege such as `SELECT` or ``UPDATE (`price`)``, or a role.
    name: String,
    /// The object of the privilege, such as `` `shop`.* ``; `None` for roles.
    object: Option<String>,
    /// What follows the grantee, such as `WITH GRANT OPTION`, without the account's authentication method.
    after: String,
}

impl Grant {
    /// Parses a line; `None` if its form is unknown.
    pub(super) fn parse(line: &str) -> Option<Vec<Self>> {
        let verb = [GRANT, SET_DEFAULT, REVOKE]
            .into_iter()
            .find(|verb| line.strip_prefix(verb).is_some_and(|rest| rest.starts_with(' ')))?;
        let [to, end] = [" TO ", " FOR ", " FROM "]
            .iter()
            .filter_map(|word| find(line, word).map(|at| [at, at + word.len()]))
            .min()?;
        let said = &line[verb.len() + 1..to];
        let (names, object) = match find(said, " ON ") {
            Some(on) => (&said[..on], Some(said[on + " ON ".len()..].to_owned())),
            None => (said, None),
        };
        let rest = &line[end..];
        let mut after = rest[find(rest, " ").unwrap_or(rest.len())..].trim_start();
        if after.starts_with("IDENTIFIED ") {
            let clause = [" REQUIRE ", " WITH "].iter().filter_map(|word| find(after, word)).min();
            after = clause.map_or("", |at| after[at..].trim_start());
        }
        let grant = |name: String| Self { verb, name, object: object.clone(), after: after.to_owned() };
        // All default roles are set in one statement.
        let names = if verb == SET_DEFAULT { vec![names.to_owned()] } else { single(names) };
        Some(names.into_iter().map(grant).collect())
    }

    /// Creates a grant for the roles that are active from the start of an account's sessions.
    pub(super) fn default_roles(roles: &[String]) -> Self {
        Self { verb: SET_DEFAULT, name: roles.join(", "), object: None, after: String::new() }
    }

    /// Returns the grants that are wanted but not present, and the exceptions that are present but not wanted.
    pub(super) fn missing<'a>(wanted: &'a [Self], present: &'a [Self]) -> impl Iterator<Item = &'a Self> {
        let lacks = move |grant: &&Self| !present.iter().any(|other| other.covers(grant));
        let restricts = move |grant: &&Self| grant.verb == REVOKE && !wanted.contains(grant);
        let is_something =
            |grant: &&Self| grant.verb != REVOKE && (grant.name != "USAGE" || !grant.after.is_empty());
        let lacking = wanted.iter().filter(is_something).filter(lacks);
        lacking.chain(present.iter().filter(restricts))
    }

    /// Returns the statements that revoke an account's grants that are not wanted.
    pub(super) fn revocations(
        wanted: &[Self],
        present: &[Self],
        dialect: Dialect,
        account: &str,
    ) -> Vec<String> {
        let mut statements = Vec::new();
        let mut say = |statement: String| {
            if !statements.contains(&statement) {
                statements.push(statement);
            }
        };
        for grant in present {
            let Self { verb, name, object, .. } = grant;
            let mut alike = wanted.iter().filter(|other| (&other.verb, &other.object) == (verb, object));
            let on = object.as_ref().map(|object| format!(" ON {object}")).unwrap_or_default();
            let is_kept = |other: &Self| other.name == *name || other.name == ALL && object.is_some();
            match *verb {
                SET_DEFAULT if alike.next().is_none() => say(default_roles("NONE", dialect, account)),
                GRANT if name != "USAGE" && !alike.clone().any(is_kept) => {
                    say(format!("REVOKE {name}{on} FROM {account}"));
                }
                _ => {}
            }
            // The grant option belongs to the object, not to the privilege, and stays when the privilege is revoked.
            if *verb == GRANT && grant.is_grantable() && !alike.any(Self::is_grantable) {
                say(format!("REVOKE GRANT OPTION{on} FROM {account}"));
            }
        }
        statements
    }

    /// Returns the statements that make these grants to an account, each with as many of them as possible.
    pub(super) fn statements<'a>(
        grants: impl Iterator<Item = &'a Self>,
        dialect: Dialect,
        account: &str,
    ) -> Vec<String> {
        let mut groups: Vec<(&Self, Vec<&str>)> = Vec::new();
        for grant in grants {
            let fits = |(first, _): &&mut (&Self, Vec<&str>)| {
                (first.verb, &first.object, &first.after) == (grant.verb, &grant.object, &grant.after)
                    // MariaDB grants only one role per statement.
                    && grant.object.is_some()
            };
            match groups.iter_mut().find(fits) {
                Some((_, names)) => names.push(&grant.name),
                None => groups.push((grant, vec![&grant.name])),
            }
        }
        let statement = |(grant, names): (&Self, Vec<&str>)| {
            let (names, after) = (names.join(", "), &grant.after);
            let said = match (grant.verb, &grant.object) {
                (SET_DEFAULT, _) => default_roles(&names, dialect, account),
                // An exception is lifted by granting the privilege.
                (_, Some(object)) => format!("GRANT {names} ON {object} TO {account} {after}"),
                (_, None) => format!("GRANT {names} TO {account} {after}"),
            };
            said.trim_end().to_owned()
        };
        groups.into_iter().map(statement).collect()
    }

    /// Returns the statements that add the wanted exceptions to an account's privileges.
    pub(super) fn restrictions(wanted: &[Self], present: &[Self], account: &str) -> Vec<String> {
        let lacking = wanted.iter().filter(|grant| grant.verb == REVOKE && !present.contains(grant));
        let statement = |grant: &Self| {
            Some(format!("REVOKE {} ON {} FROM {account}", grant.name, grant.object.as_ref()?))
        };
        lacking.filter_map(statement).collect()
    }

    /// Checks whether an account with this grant also has the other.
    fn covers(&self, other: &Self) -> bool {
        let has_name = self.name == other.name
            || self.name == ALL && self.object.is_some()
            // Every account has USAGE.
            || other.name == "USAGE";
        self.verb == other.verb
            && self.object == other.object
            && has_name
            && self.conditions() == other.conditions()
            && (self.is_handed_on() || !other.is_handed_on())
    }

    /// Returns the session requirements that MariaDB lists with a grant.
    fn conditions(&self) -> String {
        let options = self.after.replace("GRANT OPTION", "").replace("ADMIN OPTION", "");
        let words: Vec<&str> = options.split_whitespace().collect();
        words.strip_suffix(&["WITH"]).unwrap_or(&words).join(" ")
    }

    fn is_handed_on(&self) -> bool {
        self.after.contains("GRANT OPTION") || self.after.contains("ADMIN OPTION")
    }

    /// Returns the privilege and its object; `None` if the grant is not of a privilege.
    pub(super) fn privilege(&self) -> Option<(&str, &str)> {
        (self.verb == GRANT).then_some(())?;
        Some((&self.name, self.object.as_deref()?))
    }

    /// Checks whether the holder can grant the privilege to others.
    pub(super) fn is_grantable(&self) -> bool {
        self.after.contains("GRANT OPTION")
    }

    /// Formats the grant for display.
    pub(super) fn shown(&self) -> String {
        let Self { verb, name, object, after } = self;
        match object {
            _ if *verb == REVOKE => format!("GRANT {name} ON {}", object.as_deref().unwrap_or_default()),
            Some(object) => format!("{verb} {name} ON {object} {after}").trim_end().to_owned(),
            None => format!("{verb} {name} {after}").trim_end().to_owned(),
        }
    }
}

/// Returns the statement that sets an account's default roles.
fn default_roles(roles: &str, dialect: Dialect, account: &str) -> String {
    let word = if let Dialect::MariaDb(_) = dialect { "FOR" } else { "TO" };
    format!("SET DEFAULT ROLE {roles} {word} {account}")
}

const ALL: &str = "ALL PRIVILEGES";
const GRANT: &str = "GRANT";
const REVOKE: &str = "REVOKE";
const SET_DEFAULT: &str = "SET DEFAULT ROLE";

/// Splits a list of privileges. A privilege on several columns becomes one for each column.
fn single(names: &str) -> Vec<String> {
    let mut all = Vec::new();
    for name in split(names) {
        match find(name, " (").and_then(|at| Some((&name[..at], name[at + 2..].strip_suffix(')')?))) {
            Some((name, columns)) => {
                all.extend(split(columns).into_iter().map(|column| format!("{name} ({column})")));
            }
            None => all.push(name.to_owned()),
        }
    }
    all
}

/// Splits a text at commas outside of quotes and parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for at in outside_of_quotes(text) {
        match text.as_bytes()[at] {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// Finds a word outside of quotes, and returns its byte index.
pub(super) fn find(text: &str, word: &str) -> Option<usize> {
    outside_of_quotes(text).find(|at| text[*at..].starts_with(word))
}

/// Returns the byte indexes of the characters outside of quotes.
fn outside_of_quotes(text: &str) -> impl Iterator<Item = usize> {
    let mut quote = None;
    text.char_indices().filter_map(move |(at, c)| {
        // A doubled quote closes and reopens the string, which has the same effect.
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None => {
                if matches!(c, '`' | '\'' | '"') {
                    quote = Some(c);
                }
                return Some(at);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARIADB: Dialect = Dialect::MariaDb((10, 11, 14));
    const MYSQL: Dialect = Dialect::MySql((8, 4, 3));

    fn grants(lines: &[&str]) -> Vec<Grant> {
        lines.iter().flat_map(|line| Grant::parse(line).expect("a grant")).collect()
    }

    /// Returns the statements that give `b` the grants of `a`.
    fn said(dialect: Dialect, a: &[&str], b: &[&str]) -> Vec<String> {
        let (wanted, present, account) = (grants(a), grants(b), "`b`@`%`");
        let mut said = Grant::revocations(&wanted, &present, dialect, account);
        said.extend(Grant::statements(Grant::missing(&wanted, &present), dialect, account));
        said.extend(Grant::restrictions(&wanted, &present, account));
        said
    }

    fn moved(line: &str) -> String {
        said(MARIADB, &[line], &[]).join("; ")
    }

    #[test]
    fn the_grant_option_and_requirements_stay_and_the_password_does_not() {
        assert_eq!(
            moved("GRANT SELECT, INSERT ON `shop`.* TO `a`@`%` WITH GRANT OPTION"),
            "GRANT SELECT, INSERT ON `shop`.* TO `b`@`%` WITH GRANT OPTION"
        );
        assert_eq!(
            moved(
                "GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*00 WITH ' REQUIRE SSL WITH MAX_USER_CONNECTIONS 3"
            ),
            "GRANT USAGE ON *.* TO `b`@`%` REQUIRE SSL WITH MAX_USER_CONNECTIONS 3"
        );
        assert_eq!(
            moved("GRANT SELECT ON *.* TO `a`@`%` IDENTIFIED VIA x USING 'y' OR z"),
            "GRANT SELECT ON *.* TO `b`@`%`"
        );
        assert_eq!(moved("GRANT USAGE ON *.* TO `a`@`%`"), "");
    }

    #[test]
    fn names_that_look_like_the_grammar_are_left_alone() {
        let line = "GRANT EXECUTE ON PROCEDURE `a TO b`.`x`` ON ' y` TO `an @ TO it`@`%` WITH GRANT OPTION";
        assert_eq!(
            moved(line),
            "GRANT EXECUTE ON PROCEDURE `a TO b`.`x`` ON ' y` TO `b`@`%` WITH GRANT OPTION"
        );
        let grant = grants(&[line]).remove(0);
        assert_eq!(grant.privilege(), Some(("EXECUTE", "PROCEDURE `a TO b`.`x`` ON ' y`")));
    }

    #[test]
    fn roles_and_default_roles_are_grants_too() {
        assert_eq!(
            moved("GRANT `reader` TO `a`@`%` WITH ADMIN OPTION"),
            "GRANT `reader` TO `b`@`%` WITH ADMIN OPTION"
        );
        assert_eq!(moved("SET DEFAULT ROLE `reader` FOR `a`@`%`"), "SET DEFAULT ROLE `reader` FOR `b`@`%`");
        let mysql = ["GRANT `r`@`%`,`s`@`%` TO `a`@`%`"];
        assert_eq!(
            said(MYSQL, &mysql, &["GRANT `s`@`%`,`t`@`%` TO `b`@`%`"]),
            ["REVOKE `t`@`%` FROM `b`@`%`", "GRANT `r`@`%` TO `b`@`%`"]
        );
        let defaults = [Grant::default_roles(&["`r`@`%`".into(), "`s`@`%`".into()])];
        assert_eq!(
            Grant::statements(defaults.iter(), MYSQL, "`b`@`%`"),
            ["SET DEFAULT ROLE `r`@`%`, `s`@`%` TO `b`@`%`"]
        );
        assert_eq!(
            Grant::revocations(&[], &defaults, MYSQL, "`b`@`%`"),
            ["SET DEFAULT ROLE NONE TO `b`@`%`"]
        );
    }

    /// If whole lines were compared, a user with more privileges would always lack the line of a user with fewer.
    #[test]
    fn a_user_that_may_do_more_loses_it_and_lacks_nothing() {
        let (less, more) =
            ("GRANT SELECT ON `shop`.* TO `a`@`%`", "GRANT SELECT, INSERT ON `shop`.* TO `b`@`%`");
        assert_eq!(Grant::missing(&grants(&[less]), &grants(&[more])).count(), 0);
        assert_eq!(said(MYSQL, &[less], &[more]), ["REVOKE INSERT ON `shop`.* FROM `b`@`%`"]);
        let more = "GRANT SELECT ON `shop`.* TO `b`@`%` WITH GRANT OPTION";
        assert_eq!(said(MYSQL, &[less], &[more]), ["REVOKE GRANT OPTION ON `shop`.* FROM `b`@`%`"]);
        let columns = ["GRANT SELECT (`a`), UPDATE (`a`, `b, c`) ON `shop`.`t` TO `a`@`%`"];
        assert_eq!(
            said(MYSQL, &columns, &["GRANT UPDATE (`b, c`, `d`) ON `shop`.`t` TO `b`@`%`"]),
            [
                "REVOKE UPDATE (`d`) ON `shop`.`t` FROM `b`@`%`",
                "GRANT SELECT (`a`), UPDATE (`a`) ON `shop`.`t` TO `b`@`%`"
            ]
        );
        let all = "GRANT ALL PRIVILEGES ON `shop`.* TO `b`@`%`";
        assert_eq!(Grant::missing(&grants(&[less]), &grants(&[all])).count(), 0);
        assert_eq!(said(MYSQL, &[less], &[all]), ["REVOKE ALL PRIVILEGES ON `shop`.* FROM `b`@`%`"]);
    }

    #[test]
    fn what_mysql_leaves_out_of_a_privilege_on_everything_is_left_out_and_given_back() {
        let all = "GRANT SELECT ON *.* TO `a`@`%`";
        let but = "REVOKE SELECT ON `mysql`.* FROM `a`@`%`";
        assert_eq!(
            said(MYSQL, &[all, but], &[]),
            ["GRANT SELECT ON *.* TO `b`@`%`", "REVOKE SELECT ON `mysql`.* FROM `b`@`%`"]
        );
        assert_eq!(said(MYSQL, &[all], &[all, but]), ["GRANT SELECT ON `mysql`.* TO `b`@`%`"]);
        assert_eq!(said(MYSQL, &[all, but], &[all, but]), [""; 0]);
        let dynamic = "GRANT BACKUP_ADMIN,CLONE_ADMIN ON *.* TO `a`@`%`";
        assert_eq!(said(MYSQL, &[dynamic], &[]), ["GRANT BACKUP_ADMIN, CLONE_ADMIN ON *.* TO `b`@`%`"]);
    }
}
