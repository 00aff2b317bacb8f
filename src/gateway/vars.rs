//! Expressions of lua-resty-expr, as `vars` of a route (7.3) and `_meta.filter` of a plugin (1.3) are written: triples
//! `[name, operator, value]`, joined by `AND`, `OR`, `!AND` and `!OR`.
//!
//! Compiled once. [`check`] refuses what can't be compiled, with the library's texts, and regular expressions that would
//! need backtracking: they are bounded in size and in time here.

use super::address::Addresses;
use super::variables::{self, Variable, Variables};
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

/// No person writes deeper, and the stack has an end.
const DEEPEST: usize = 64;
/// Bytes of a compiled regular expression.
const LARGEST_REGEX: usize = 1 << 20;

/// Whether a value is an expression, or why not.
pub fn check(value: &Value) -> Result<(), String> {
    Expression::compile(value).map(|_| ())
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expression(Rule);

#[derive(Debug, Clone)]
enum Rule {
    All { rules: Vec<Rule>, negated: bool },
    Any { rules: Vec<Rule>, negated: bool },
    Compare { variable: Variable, test: Test, negated: bool },
}

#[derive(Debug, Clone)]
enum Test {
    Equal(Literal),
    Differs(Literal),
    Greater(f64),
    GreaterOrEqual(f64),
    Less(f64),
    LessOrEqual(f64),
    Matches(Box<Regex>),
    OneOf(Vec<Literal>),
    Within(Addresses),
    /// What holds for no text: `has`, and a comparison with what is no number.
    Never,
}

#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Nothing,
    Text(Vec<u8>),
    Number(f64),
    Flag(bool),
    /// An array or an object, which nothing is equal to.
    Table,
}

impl Expression {
    /// Compiles an expression; an empty one always holds.
    pub fn compile(value: &Value) -> Result<Self, String> {
        let rules = value.as_array().ok_or("an expression is an array")?;
        match rules.first() {
            None => return Ok(Self(Rule::All { rules: Vec::new(), negated: false })),
            Some(Value::Array(_)) => {}
            Some(Value::String(first)) if logic(first).is_some() => {}
            Some(_) => return Err("rule should be wrapped inside brackets".to_owned()),
        }
        compile(rules, 0).map(Self)
    }

    /// Whether it holds for a request.
    pub fn holds(&self, request: &Variables<'_>) -> bool {
        self.0.holds(request)
    }
}

enum Logic {
    All,
    Any,
}

fn logic(name: &str) -> Option<(Logic, bool)> {
    match name.to_ascii_uppercase().as_str() {
        "AND" => Some((Logic::All, false)),
        "!AND" => Some((Logic::All, true)),
        "OR" => Some((Logic::Any, false)),
        "!OR" => Some((Logic::Any, true)),
        _ => None,
    }
}

fn compile(rules: &[Value], depth: usize) -> Result<Rule, String> {
    if depth > DEEPEST {
        return Err(format!("rules are nested deeper than {DEEPEST}"));
    }
    let nested = |rules: &[Value]| -> Result<Vec<Rule>, String> {
        let compile = |rule: &Value| match rule {
            Value::Array(rule) => compile(rule, depth + 1),
            _ => Err("invalid expression".to_owned()),
        };
        rules.iter().map(compile).collect()
    };
    match rules {
        [] => Err("rule too short".to_owned()),
        [Value::Array(_), ..] => Ok(Rule::All { rules: nested(rules)?, negated: false }),
        [Value::String(name), operands @ ..] => match logic(name) {
            Some(_) if operands.len() < 2 => Err("rule too short".to_owned()),
            Some((Logic::All, negated)) => Ok(Rule::All { rules: nested(operands)?, negated }),
            Some((Logic::Any, negated)) => Ok(Rule::Any { rules: nested(operands)?, negated }),
            None => comparison(name, operands),
        },
        _ => Err("invalid expression".to_owned()),
    }
}

fn comparison(name: &str, operands: &[Value]) -> Result<Rule, String> {
    let (operands, negated) = match operands {
        [not, rest @ ..] if operands.len() == 3 => match not.as_str() {
            Some("!") => (rest, true),
            _ => return Err("bad 'not' expression".to_owned()),
        },
        _ => (operands, false),
    };
    let operator = match operands.first() {
        Some(Value::String(operator)) => operator.to_ascii_lowercase(),
        // A number stands for itself as text, which is what it is compared with.
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err("invalid expression".to_owned()),
    };
    let value = operands.get(1);
    let test = match (test(&operator, value.unwrap_or(&Value::Null))?, value) {
        (Some(test), _) => test,
        // The short form `[name, value]`; the library reads the value as an operator first, in lower case.
        (None, None) => Test::Equal(Literal::Text(operator.into_bytes())),
        (None, Some(_)) => return Err(format!("invalid operator '{operator}'")),
    };
    Ok(Rule::Compare { variable: Variable::of(name), test, negated })
}

/// The test of an operator, if there is such an operator.
fn test(operator: &str, value: &Value) -> Result<Option<Test>, String> {
    let number = |test: fn(f64) -> Test| literal_number(value).map_or(Test::Never, test);
    Ok(Some(match operator {
        "==" => Test::Equal(Literal::of(value)),
        "~=" => Test::Differs(Literal::of(value)),
        ">" => number(Test::Greater),
        ">=" => number(Test::GreaterOrEqual),
        "<" => number(Test::Less),
        "<=" => number(Test::LessOrEqual),
        "~~" => regex(value, false)?,
        "~*" => regex(value, true)?,
        "in" => match value {
            Value::Array(values) => Test::OneOf(values.iter().map(Literal::of).collect()),
            _ => Test::Never,
        },
        // What is looked into would have to be a list, and no variable of a request is one.
        "has" => Test::Never,
        "ipmatch" => Test::Within(addresses(value)?),
        _ => return Ok(None),
    }))
}

fn regex(value: &Value, ignore_case: bool) -> Result<Test, String> {
    let pattern = match value {
        Value::String(pattern) => pattern.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err("a regular expression is a string".to_owned()),
    };
    // Bytes and ASCII classes, as PCRE has them without its UTF mode.
    let build = |unicode| {
        let mut builder = RegexBuilder::new(&pattern);
        builder.unicode(unicode).case_insensitive(ignore_case).size_limit(LARGEST_REGEX).build()
    };
    let compiled = build(false).or_else(|_| build(true));
    compiled.map(|regex| Test::Matches(Box::new(regex))).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("invalid regular expression '{pattern}': {reason}; look-around and back-references are not supported")
    })
}

fn addresses(value: &Value) -> Result<Addresses, String> {
    let invalid = || "invalid ip address".to_owned();
    match value {
        Value::String(one) if !one.is_empty() => Addresses::parse([one.as_str()]),
        Value::Array(all) if !all.is_empty() => {
            let texts: Option<Vec<&str>> = all.iter().map(Value::as_str).collect();
            Addresses::parse(texts.ok_or_else(invalid)?)
        }
        _ => Err(invalid()),
    }
}

fn literal_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => number(text.as_bytes()),
        _ => None,
    }
}

/// A text as Lua makes a number of it.
fn number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok().map(|number| number as f64);
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-' | b'e' | b'E'));
    if plain { text.parse().ok() } else { None }
}

impl Literal {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Bool(flag) => Self::Flag(*flag),
            Value::Number(number) => number.as_f64().map_or(Self::Table, Self::Number),
            Value::String(text) => Self::Text(text.as_bytes().to_vec()),
            Value::Array(_) | Value::Object(_) => Self::Table,
        }
    }

    /// Lua's equality, where a text is never a number.
    fn is(&self, value: Option<&variables::Value<'_>>) -> bool {
        match (self, value) {
            (Self::Nothing, None) => true,
            (Self::Text(text), Some(variables::Value::Text(value))) => **text == **value,
            (Self::Flag(flag), Some(variables::Value::Flag)) => *flag,
            _ => false,
        }
    }

    /// The same for `==` and `~=`, which make a number of the variable where they are given one.
    fn equals(&self, value: Option<&variables::Value<'_>>) -> bool {
        match (self, value) {
            (Self::Number(wanted), Some(variables::Value::Text(text))) => number(text) == Some(*wanted),
            _ => self.is(value),
        }
    }
}

impl Rule {
    fn holds(&self, request: &Variables<'_>) -> bool {
        match self {
            Self::All { rules, negated } => rules.iter().all(|rule| rule.holds(request)) != *negated,
            Self::Any { rules, negated } => rules.iter().any(|rule| rule.holds(request)) != *negated,
            Self::Compare { variable, test, negated } => test.holds(request.get(variable).as_ref()) != *negated,
        }
    }
}

impl Test {
    fn holds(&self, value: Option<&variables::Value<'_>>) -> bool {
        let text = match value {
            Some(variables::Value::Text(text)) => Some(&text[..]),
            _ => None,
        };
        let compare = |holds: fn(&f64, &f64) -> bool, bound: &f64| {
            text.and_then(number).is_some_and(|number| holds(&number, bound))
        };
        match self {
            Self::Equal(literal) => literal.equals(value),
            Self::Differs(literal) => !literal.equals(value),
            Self::Greater(bound) => compare(f64::gt, bound),
            Self::GreaterOrEqual(bound) => compare(f64::ge, bound),
            Self::Less(bound) => compare(f64::lt, bound),
            Self::LessOrEqual(bound) => compare(f64::le, bound),
            Self::Matches(regex) => text.is_some_and(|text| regex.is_match(text)),
            Self::OneOf(literals) => literals.iter().any(|literal| literal.is(value)),
            Self::Within(addresses) => {
                let address = text.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
                address.is_some_and(|address| addresses.contains(address))
            }
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{facts, headers};
    use super::*;
    use serde_json::json;

    fn holds(expression: Value) -> bool {
        let headers = headers(&[("x-user", "Bob"), ("cookie", "k=v")]);
        let facts = facts("GET", "/hello?a=10&s=Abc&flag&n=0x10", "foo.com", &headers);
        let variables = Variables::of(&facts).expect("a target");
        Expression::compile(&expression).expect("an expression").holds(&variables)
    }

    /// Section 7.3: `vars` are lua-resty-expr triples; what each operator does is that library's documentation.
    #[test]
    fn operators() {
        for expression in [
            json!([]),
            json!([["arg_s", "==", "Abc"]]),
            json!([["arg_a", "==", 10]]),
            json!([["arg_n", "==", 16]]),
            json!([["arg_a", "==", "10"]]),
            json!([["arg_none", "==", null]]),
            json!([["arg_flag", "==", true]]),
            json!([["arg_a", "~=", "11"]]),
            json!([["arg_none", "~=", "x"]]),
            json!([["arg_none", "~=", 1]]),
            json!([["arg_a", ">", 9]]),
            json!([["arg_a", ">", "9"]]),
            json!([["arg_a", ">=", 10]]),
            json!([["arg_a", "<", 10.5]]),
            json!([["arg_a", "<=", 10]]),
            json!([["arg_s", "~~", "^A[a-z]+$"]]),
            json!([["arg_s", "~*", "^abc$"]]),
            json!([["arg_s", "in", ["x", "Abc"]]]),
            json!([["arg_s", "IN", ["x", "Abc"]]]),
            json!([["remote_addr", "ipmatch", ["10.0.0.0/8", "127.0.0.0/8"]]]),
            json!([["remote_addr", "ipmatch", "127.0.0.1"]]),
            json!([["http_x_user", "==", "Bob"], ["cookie_k", "==", "v"], ["host", "==", "foo.com"]]),
            json!([["arg_a", "10"]]),
            json!([["arg_s", "!", "==", "abc"]]),
            json!([["arg_s", "!", "in", ["x"]]]),
            json!([["arg_s", "!", "~~", "^z"]]),
            json!(["OR", ["arg_a", "==", "1"], ["arg_s", "==", "Abc"]]),
            json!(["or", ["arg_a", "==", "1"], ["AND", ["arg_s", "==", "Abc"], ["uri", "==", "/hello"]]]),
            json!(["!OR", ["arg_a", "==", "1"], ["arg_s", "==", "x"]]),
            json!(["!AND", ["arg_a", "==", "10"], ["arg_s", "==", "x"]]),
            json!([["arg_a", "==", "10"], ["OR", ["arg_s", "==", "Abc"], ["arg_s", "==", "x"]]]),
        ] {
            assert!(holds(expression.clone()), "{expression}");
        }
        for expression in [
            json!([["arg_s", "==", "abc"]]),
            json!([["arg_s", "==", 10]]),
            json!([["arg_none", "==", "x"]]),
            json!([["arg_none", ">", 0]]),
            json!([["arg_s", ">", 0]]),
            json!([["arg_a", ">", "x"]]),
            json!([["arg_none", "~~", "."]]),
            json!([["arg_a", "in", [10]]]),
            json!([["arg_a", "in", "10"]]),
            json!([["arg_a", "has", "10"]]),
            json!([["remote_addr", "ipmatch", ["10.0.0.0/8"]]]),
            json!([["arg_s", "ipmatch", ["10.0.0.0/8"]]]),
            json!([["arg_s", "!", "==", "Abc"]]),
            json!([["arg_s", "Abc"]]),
            json!([["arg_a", "==", "10"], ["arg_s", "==", "x"]]),
            json!(["!OR", ["arg_a", "==", "10"], ["arg_s", "==", "x"]]),
        ] {
            assert!(!holds(expression.clone()), "{expression}");
        }
    }

    /// The texts are lua-resty-expr's: APISIX's answers end with them (7.2).
    #[test]
    fn what_is_no_expression_is_refused() {
        for (expression, text) in [
            (json!(["arg_a", "==", "1"]), "rule should be wrapped inside brackets"),
            (json!([["arg_a", "=", "1"]]), "invalid operator '='"),
            (json!([["arg_a", "not", "==", "1"]]), "bad 'not' expression"),
            (json!([["arg_a"]]), "invalid expression"),
            (json!([[]]), "rule too short"),
            (json!(["OR", ["arg_a", "==", "1"]]), "rule too short"),
            (json!([["remote_addr", "ipmatch", []]]), "invalid ip address"),
            (json!([["remote_addr", "ipmatch", ["x"]]]), "invalid ip address: x"),
        ] {
            assert_eq!(check(&expression), Err(text.to_owned()), "{expression}");
        }
        for expression in
            [json!({}), json!([5]), json!([["a", "~~", "("]]), json!([["a", "~~", "(?=b)"]]), json!([1, []])]
        {
            assert!(check(&expression).is_err(), "{expression}");
        }
        let deep = (0..DEEPEST + 1).fold(json!(["uri", "==", "/"]), |inner, _| Value::Array(vec![inner]));
        assert!(check(&deep).is_err());
    }

    /// A pattern that would keep a backtracking engine busy for ever.
    #[test]
    fn regular_expressions_are_bounded() {
        assert!(check(&json!([["uri", "~~", "(a{1000}){1000}"]])).is_err());
        assert!(!holds(json!([["arg_s", "~~", "(A+)+$"]])));
    }
}
