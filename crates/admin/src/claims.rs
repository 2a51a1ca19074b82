//! Which role a person's claims or groups give. Sans-IO.
//!
//! What people have is never told to them or to others: only their role is, or that they have none.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::access::Role;
use super::person::Person;

/// `claim=value`: what a person must have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ClaimTest {
    claim: String,
    value: String,
}

impl ClaimTest {
    /// `None` if there is no `=`.
    fn new(text: &str) -> Option<Self> {
        let (claim, value) = text.split_once('=')?;
        Some(Self { claim: claim.to_owned(), value: value.to_owned() })
    }

    fn holds(&self, claims: &Map<String, Value>) -> bool {
        claim(claims, &self.claim).is_some_and(|value| has(value, &self.value))
    }
}

/// The claim of this name; where there is none, dots lead into objects.
fn claim<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let mut steps = path.split('.');
        let first = claims.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    })
}

/// Whether the value is `wanted`, or a list that contains it. `*` is anything but nothing.
fn has(value: &Value, wanted: &str) -> bool {
    match value {
        Value::Null | Value::Object(_) => false,
        Value::Bool(is) => *is && wanted == "*" || is.to_string() == wanted,
        Value::Number(number) => wanted == "*" || number.to_string() == wanted,
        Value::String(text) => !text.is_empty() && (wanted == "*" || text == wanted),
        Value::Array(items) => items.iter().any(|item| !item.is_array() && has(item, wanted)),
    }
}

/// Which claims make an operator, which a viewer, and which one is the name.
#[derive(Clone, Debug, Default)]
pub(super) struct ClaimRules {
    operator: Vec<ClaimTest>,
    viewer: Vec<ClaimTest>,
    name: String,
}

impl ClaimRules {
    /// Rules from `claim=value` texts; others are left out.
    pub(super) fn new(operator: &[String], viewer: &[String], name: &str) -> Self {
        let read = |list: &[String]| list.iter().filter_map(|text| ClaimTest::new(text)).collect();
        Self { operator: read(operator), viewer: read(viewer), name: name.to_owned() }
    }

    /// The role of a person with these claims.
    pub(super) fn role_of(&self, claims: &Map<String, Value>) -> Option<Role> {
        let one_of = |list: &[ClaimTest]| list.iter().any(|it| it.holds(claims));
        if one_of(&self.operator) {
            return Some(Role::Operator);
        }
        one_of(&self.viewer).then_some(Role::Viewer)
    }

    /// The person with these claims; the name is the configured claim, or else the usual ones
    /// (OpenID Connect Core 1.0 §5.1).
    pub(super) fn person_of(&self, claims: &Map<String, Value>) -> Option<Arc<Person>> {
        let text =
            |name: &str| claim(claims, name).and_then(Value::as_str).map(str::trim).unwrap_or_default();
        let names = [&*self.name, "name", "preferred_username", "email"].map(text);
        let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        Person::new(name, text("sub"))
    }

    /// Whether some claim that is asked about is not among these.
    pub(super) fn misses_some(&self, claims: &Map<String, Value>) -> bool {
        let tests = self.operator.iter().chain(&self.viewer).map(|it| &it.claim);
        tests.chain([&self.name]).any(|name| claim(claims, name).is_none())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: &Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    fn rules(operator: &[&str], viewer: &[&str]) -> ClaimRules {
        let own = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        ClaimRules::new(&own(operator), &own(viewer), "name")
    }

    #[test]
    fn groups_and_claims_give_roles() {
        let rules = rules(
            &["groups=video", "realm_access.roles=amphi", "https://x.example/role=boss"],
            &["staff=true", "level=3", "eduPersonAffiliation=*"],
        );
        for (value, role) in [
            (json!({ "groups": ["a", "video"] }), Some(Role::Operator)),
            (json!({ "groups": "video" }), Some(Role::Operator)),
            (json!({ "realm_access": { "roles": ["amphi"] } }), Some(Role::Operator)),
            (json!({ "realm_access.roles": "amphi" }), Some(Role::Operator)),
            (json!({ "https://x.example/role": "boss" }), Some(Role::Operator)),
            (json!({ "staff": true, "groups": ["videos"] }), Some(Role::Viewer)),
            (json!({ "level": 3 }), Some(Role::Viewer)),
            (json!({ "eduPersonAffiliation": ["member"] }), Some(Role::Viewer)),
            (json!({ "eduPersonAffiliation": [] }), None),
            (json!({ "eduPersonAffiliation": "" }), None),
            (json!({ "staff": false }), None),
            (json!({ "groups": "video audio" }), None),
            (json!({ "groups": [["video"]] }), None),
            (json!({ "groups": { "video": true } }), None),
            (json!({ "groups": ["VIDEO"] }), None),
            (json!({ "realm_access": ["amphi"] }), None),
            (json!({}), None),
        ] {
            assert_eq!(rules.role_of(&claims(&value)), role, "{value}");
        }
        assert!(rules.misses_some(&claims(&json!({ "groups": [] }))));
        let few = ClaimRules::new(&["groups=x".to_owned()], &[], "name");
        assert!(!few.misses_some(&claims(&json!({ "groups": [], "name": "" }))));
    }

    #[test]
    fn a_name_is_one_plain_line() {
        let rules = rules(&[], &[]);
        for (value, name) in [
            (json!({ "sub": "7", "name": " Ada\nLovelace\u{202e}\u{0} " }), Some("AdaLovelace")),
            (json!({ "sub": "7", "name": "Ada\u{a0}L" }), Some("Ada L")),
            (json!({ "sub": "7", "name": 3, "preferred_username": "ada" }), Some("ada")),
            (json!({ "sub": "7" }), Some("7")),
            (json!({ "name": "Ada" }), None),
            (json!({ "sub": "\u{200b}", "name": "Ada" }), None),
        ] {
            let person = rules.person_of(&claims(&value));
            assert_eq!(person.as_ref().map(|it| &*it.name), name, "{value}");
        }
    }
}
