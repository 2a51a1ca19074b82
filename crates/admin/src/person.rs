//! People who have signed in: their names. Sans-IO.
//!
//! Names come from a provider or a proxy, which take them from the people themselves: they are bounded, and what would
//! break a line or turn its direction is taken out.

use std::sync::Arc;

/// The most characters of a name or a subject.
const TEXT_CHARS: usize = 100;

/// A person who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    /// The name for the audit log and the console.
    pub(super) name: String,
    /// What the provider or the proxy calls the person, and nobody else.
    pub(super) subject: String,
}

impl Person {
    /// The person of this subject; without a name, the subject is the name. `None` for an empty subject.
    pub(super) fn new(name: &str, subject: &str) -> Option<Arc<Self>> {
        let (name, subject) = (cleaned(name), cleaned(subject));
        let name = if name.is_empty() { subject.clone() } else { name };
        (!subject.is_empty()).then(|| Arc::new(Self { name, subject }))
    }
}

/// `text` in one line, without characters that are not seen.
fn cleaned(text: &str) -> String {
    let seen = text.chars().filter(|char| !char.is_control() && !is_format(*char));
    let line: String = seen.map(|char| if char.is_whitespace() { ' ' } else { char }).collect();
    line.trim().chars().take(TEXT_CHARS).collect()
}

/// Characters that turn the direction of a text or are not seen (Unicode, category Cf and the separators of lines).
const fn is_format(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_name_is_bounded_and_has_no_control_characters(name in ".{0,300}", subject in ".{0,300}") {
            if let Some(person) = Person::new(&name, &subject) {
                for text in [&person.name, &person.subject] {
                    prop_assert!(!text.is_empty() && text.chars().count() <= TEXT_CHARS);
                    prop_assert!(!text.chars().any(|it| it.is_control() || is_format(it)));
                }
            }
        }
    }
}
