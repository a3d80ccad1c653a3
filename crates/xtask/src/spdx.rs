//! SPDX expressions, as far as `Cargo.toml`s use them: names, `AND`, `OR`, `WITH`, parentheses, and the old `/`.

/// Whether a choice among the alternatives needs only allowed licences.
pub fn satisfied(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { tokens: &tokens, allowed };
    parser.either() && parser.tokens.is_empty()
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    allowed: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn either(&mut self) -> bool {
        let mut value = self.both();
        while self.accept("OR") {
            value |= self.both();
        }
        value
    }

    fn both(&mut self) -> bool {
        let mut value = self.one();
        while self.accept("AND") {
            value &= self.one();
        }
        value
    }

    fn one(&mut self) -> bool {
        if self.accept("(") {
            let value = self.either();
            return self.accept(")") && value;
        }
        let name = self.next();
        if self.accept("WITH") {
            let exception = self.next();
            return self.allowed.contains(&format!("{name} WITH {exception}").as_str());
        }
        self.allowed.contains(&name)
    }

    fn accept(&mut self, token: &str) -> bool {
        let found = self.tokens.first() == Some(&token);
        if found {
            self.next();
        }
        found
    }

    fn next(&mut self) -> &'a str {
        let Some((first, rest)) = self.tokens.split_first() else { return "" };
        self.tokens = rest;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_met_by_allowed_licences_only() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only OR MIT", true),
            ("GPL-3.0-only AND MIT", false),
            ("MIT/Apache-2.0", true),
            ("(MIT OR GPL-2.0) AND ISC", true),
            ("(MIT OR GPL-2.0) AND (ISC AND X)", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0 WITH other", false),
            ("", false),
            ("MIT)", false),
            ("(MIT", false),
        ] {
            assert_eq!(satisfied(expression, &allowed), expected, "{expression}");
        }
    }
}
