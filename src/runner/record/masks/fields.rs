//! Values of named fields in queries and forms: `a=1&token=…`.

use super::MASK;
use bytes::Bytes;

/// The values of the fields that are wanted, as they are written.
pub(super) fn values(text: &Bytes, wanted: &impl Fn(&[u8]) -> bool) -> Vec<Bytes> {
    text.split(|byte| *byte == b'&')
        .filter_map(|field| value(field, wanted))
        .map(|found| text.slice_ref(found))
        .collect()
}

/// The text with these values replaced.
pub(super) fn masked(text: &[u8], wanted: &impl Fn(&[u8]) -> bool) -> Bytes {
    let fields = text.split(|byte| *byte == b'&').map(|field| match value(field, wanted) {
        Some(found) => {
            [field.get(..field.len().saturating_sub(found.len())).unwrap_or_default(), MASK.as_bytes()].concat()
        }
        None => field.to_vec(),
    });
    fields.collect::<Vec<_>>().join(&b'&').into()
}

/// What a field is when its percent signs are read; none where there are none.
pub(super) fn decoded(value: &[u8]) -> Option<Bytes> {
    let digit = |at: usize| char::from(*value.get(at)?).to_digit(16);
    let (mut out, mut at, mut any) = (Vec::new(), 0_usize, false);
    while let Some(byte) = value.get(at) {
        match (byte, digit(at.saturating_add(1)), digit(at.saturating_add(2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                (at, any) = (at.saturating_add(3), true);
            }
            _ => {
                out.push(*byte);
                at = at.saturating_add(1);
            }
        }
    }
    any.then(|| out.into())
}

fn value<'a>(field: &'a [u8], wanted: &impl Fn(&[u8]) -> bool) -> Option<&'a [u8]> {
    let at = field.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (field.get(..at)?, field.get(at.saturating_add(1)..)?);
    (wanted(name) && !value.is_empty()).then_some(value)
}
