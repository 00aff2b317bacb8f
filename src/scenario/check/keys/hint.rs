//! What is said about a key that does not stand where it belongs: where it does, or which one was meant.

use super::{Name, Place};
use crate::scenario::yaml::{Key, Node};

/// What to say about a key that is not of this place.
pub(in crate::scenario::check) fn hint(place: &Place, key: &str, beside: &[(Key, Node)]) -> String {
    if let Some((before, _)) = key.split_once(':') {
        return format!("a space is needed after the colon: `{before}: …`");
    }
    // A request and a call to the admin API have keys of the same names: what is written here decides.
    let written = |other: &&&Place| matches!(other.name, Name::Key(key) if beside.iter().any(|(k, _)| k.text == key));
    let near = || place.near.iter().filter(|other| other.has(key));
    if let Some(other) = near().find(written).or_else(|| near().next()) {
        if let (Name::Key(under), Some("send")) = (&other.name, other.keys().next()) {
            return format!("`{key}` is a key of `{under}`: `{under}: {{ send: …, {key}: … }}`");
        }
        return format!("`{key}` is a key of {}", other.name);
    }
    if let Some(close) = similar(key, place.keys()) {
        return format!("did you mean `{close}`?");
    }
    let elsewhere = place.near.iter().find_map(|other| Some((similar(key, other.keys())?, other)));
    if let Some((close, other)) = elsewhere {
        return format!("did you mean `{close}`? it is a key of {}", other.name);
    }
    format!("{} has {}", place.name, list(&place.keys().collect::<Vec<_>>()))
}

/// `a, b and c`, each in backticks.
pub(in crate::scenario::check) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "nothing".to_string(),
    }
}

/// The word that somebody who wrote `word` probably meant.
pub(in crate::scenario::check) fn similar<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // The comparison is quadratic, and nobody means a word with a key of a kilobyte.
    if word.len() > 40 {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    let allowed = (word.chars().count() / 3).max(1);
    words
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase().replace('-', "_")), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::super::{CASE, EXPECT, FILE, LIMITS, ON};
    use super::*;

    #[test]
    fn hints_name_the_likely_key() {
        assert_eq!(hint(&FILE, "hots", &[]), "did you mean `host`?");
        assert_eq!(hint(&FILE, "Plugin", &[]), "did you mean `plugin`?");
        assert_eq!(hint(&CASE, "headers", &[]), "`headers` is a key of `request`: `request: { send: …, headers: … }`");
        assert_eq!(hint(&CASE, "protocol", &[]), "`protocol` is a key of a scenario file");
        assert_eq!(hint(&ON, "apsix", &[]), "did you mean `apisix`?");
        assert_eq!(hint(&EXPECT, "apisix", &[]), "`apisix` is a key of `on`");
        assert_eq!(hint(&EXPECT, "status", &[]), "`status` is a key of `client_sees`");
        assert_eq!(hint(&EXPECT, "client-sees", &[]), "did you mean `client_sees`?");
        assert_eq!(hint(&LIMITS, "x:y", &[]), "a space is needed after the colon: `x: …`");
        assert_eq!(hint(&LIMITS, "zzz", &[]), "`limits` has `fuel`, `memory` and `buffer`");
    }
}
