//! The lines of `SHOW GRANTS`, taken apart so that they can be said of another account.

/// A line without its grantee: what stands before and after.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Grant {
    /// Such as ``GRANT SELECT ON `shop`.* TO`` or ``SET DEFAULT ROLE `reader` FOR``.
    before: String,
    /// Such as `WITH GRANT OPTION`; how the account logs in is left out.
    after: String,
}

impl Grant {
    /// Takes a line apart; `None` if it has another form.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let start =
            [" TO ", " FOR "].iter().filter_map(|word| find(line, word).map(|at| at + word.len())).min()?;
        let rest = &line[start..];
        let end = find(rest, " ").unwrap_or(rest.len());
        let mut after = rest[end..].trim_start();
        if after.starts_with("IDENTIFIED ") {
            let clause = [" REQUIRE ", " WITH "].iter().filter_map(|word| find(after, word)).min();
            after = clause.map_or("", |at| after[at..].trim_start());
        }
        Some(Self { before: line[..start].trim_end().to_owned(), after: after.to_owned() })
    }

    /// The line, said of an account.
    pub(super) fn to(&self, account: &str) -> String {
        format!("{} {account} {}", self.before, self.after).trim_end().to_owned()
    }

    /// What the grant is on, such as `` `shop`.* ``, unless it is of a role.
    pub(super) fn object(&self) -> Option<&str> {
        let at = find(&self.before, " ON ")? + " ON ".len();
        self.before[at..].strip_suffix(" TO")
    }

    /// The privileges, as a list, and what they are on; nothing if the grant is of a role.
    pub(super) fn privileges(&self) -> Option<(&str, &str)> {
        let object = self.object()?;
        let names = self.before.strip_prefix("GRANT ")?;
        Some((&names[..find(names, " ON ")?], object))
    }

    /// Whether its holder may hand it on.
    pub(super) fn is_grantable(&self) -> bool {
        self.after.contains("GRANT OPTION")
    }

    /// The grant as a person reads it.
    pub(super) fn shown(&self) -> String {
        format!("{} … {}", self.before, self.after).trim_end().to_owned()
    }
}

/// Where a word stands outside of quotes.
fn find(text: &str, word: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        // A doubled quote closes and opens again, which comes to the same.
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if text[at..].starts_with(word) => return Some(at),
            None if matches!(c, '`' | '\'' | '"') => quote = Some(c),
            None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(line: &str) -> String {
        Grant::parse(line).expect("a grant").to("`b`@`%`")
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
            moved("GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED VIA x USING 'y' OR z"),
            "GRANT USAGE ON *.* TO `b`@`%`"
        );
    }

    #[test]
    fn names_that_look_like_the_grammar_are_left_alone() {
        let line = "GRANT EXECUTE ON PROCEDURE `a TO b`.`x`` ON ' y` TO `an @ TO it`@`%` WITH GRANT OPTION";
        let grant = Grant::parse(line).expect("a grant");
        assert_eq!(
            grant.to("`b`@`%`"),
            "GRANT EXECUTE ON PROCEDURE `a TO b`.`x`` ON ' y` TO `b`@`%` WITH GRANT OPTION"
        );
        assert_eq!(grant.object(), Some("PROCEDURE `a TO b`.`x`` ON ' y`"));
    }

    #[test]
    fn roles_and_default_roles_are_grants_too() {
        let role = Grant::parse("GRANT `reader` TO `a`@`%` WITH ADMIN OPTION").expect("a grant");
        assert_eq!(
            (role.to("`b`@`%`").as_str(), role.object()),
            ("GRANT `reader` TO `b`@`%` WITH ADMIN OPTION", None)
        );
        assert_eq!(moved("SET DEFAULT ROLE `reader` FOR `a`@`%`"), "SET DEFAULT ROLE `reader` FOR `b`@`%`");
    }
}
