//! The wire format of protobuf, as far as hosts read messages that plugins send them.

/// Groups in groups; protobuf's own bound.
const DEEPEST: usize = 100;

/// A field's value, of the kinds that hosts look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// A number or a truth value.
    Varint(u64),
    /// Text, bytes or a message.
    Bytes(&'a [u8]),
}

/// The last value of a text, empty where there is none. A field of another kind is an unknown one.
pub fn bytes<'a>(fields: &[(u64, Field<'a>)], number: u64) -> &'a [u8] {
    let found = fields.iter().rev().find_map(|(of, field)| match field {
        Field::Bytes(value) if *of == number => Some(*value),
        Field::Bytes(_) | Field::Varint(_) => None,
    });
    found.unwrap_or_default()
}

/// The last value of a number, 0 where there is none.
pub fn varint_of(fields: &[(u64, Field)], number: u64) -> u64 {
    let found = fields.iter().rev().find_map(|(of, field)| match field {
        Field::Varint(value) if *of == number => Some(*value),
        Field::Bytes(_) | Field::Varint(_) => None,
    });
    found.unwrap_or_default()
}

/// Whether every value of these fields is UTF-8, as proto3 wants it of text.
pub fn are_text(fields: &[(u64, Field)], numbers: &[u64]) -> bool {
    fields.iter().all(|(of, field)| match field {
        Field::Bytes(value) => !numbers.contains(of) || std::str::from_utf8(value).is_ok(),
        Field::Varint(_) => true,
    })
}

/// The fields of a message, without those of groups; `None` for bytes that are none.
pub fn fields(bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut rest = bytes;
    let mut found = Vec::new();
    let mut groups = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let number = (tag >> 3).checked_sub(1)? + 1;
        // A tag has 32 bits.
        u32::try_from(tag).ok()?;
        match tag & 7 {
            0 => {
                let value = varint(&mut rest)?;
                if groups.is_empty() {
                    found.push((number, Field::Varint(value)));
                }
            }
            1 => drop(take(&mut rest, 8)?),
            2 => {
                let length = varint(&mut rest)?;
                let value = take(&mut rest, usize::try_from(length).ok()?)?;
                if groups.is_empty() {
                    found.push((number, Field::Bytes(value)));
                }
            }
            3 if groups.len() < DEEPEST => groups.push(number),
            4 if groups.pop() == Some(number) => {}
            5 => drop(take(&mut rest, 4)?),
            _ => return None,
        }
    }
    groups.is_empty().then_some(found)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(7 * at).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(value)
}
