//! CBOR (RFC 8949) as authenticators must write it: the CTAP2 canonical form (CTAP 2.1 §8) but for the order of keys.
//!
//! Refused: indefinite lengths, lengths and integers in more bytes than they need, tags, a key twice in one map,
//! text that is not UTF-8, nesting deeper than any format in use. Nothing is allocated by what a length promises.

/// Deeper nesting is refused. The deepest honest thing, a compound attestation, has six levels.
const MOST_LEVELS: u8 = 8;
/// More keys in one map are refused.
const MOST_KEYS: usize = 64;

/// The bytes are not the CBOR that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not canonical CBOR")]
pub(super) struct Malformed;

/// What one head announces; strings come with their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// An integer that fits 64 bits with its sign.
    Integer(i64),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A text string.
    Text(&'a str),
    /// An array of so many items, which follow.
    Array(usize),
    /// A map of so many pairs, which follow.
    Map(usize),
    /// A simple value or a floating-point number.
    Other,
}

/// Reads items from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    /// The next item; of an array or map only its head.
    pub(super) fn item(&mut self) -> Result<Item<'a>, Malformed> {
        let [first] = *self.take_array()?;
        let (major, info) = (first >> 5, first & 0x1f);
        if major == 7 {
            return self.other(info);
        }
        let value = self.argument(info)?;
        let signed = || i64::try_from(value).map_err(|_| Malformed);
        // Every item takes a byte at least, so a longer promise is a lie.
        let count = |bytes: usize| {
            usize::try_from(value).ok().filter(|count| *count <= self.0.len() / bytes).ok_or(Malformed)
        };
        match major {
            0 => signed().map(Item::Integer),
            1 => signed().map(|value| Item::Integer(-1 - value)),
            2 => {
                let length = count(1)?;
                self.take(length).map(Item::Bytes)
            }
            3 => {
                let length = count(1)?;
                std::str::from_utf8(self.take(length)?).map(Item::Text).map_err(|_| Malformed)
            }
            4 => count(1).map(Item::Array),
            5 => count(2).map(Item::Map),
            _ => Err(Malformed),
        }
    }

    /// The next item whole, as it is encoded.
    pub(super) fn whole(&mut self) -> Result<&'a [u8], Malformed> {
        let before = self.0;
        self.skip(MOST_LEVELS)?;
        before.get(..before.len() - self.0.len()).ok_or(Malformed)
    }

    /// The next item, which must be a map; `each` gets a key and must read its value. No key may come twice.
    pub(super) fn map<E: From<Malformed>>(
        &mut self,
        mut each: impl FnMut(Item<'a>, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let Item::Map(pairs) = self.item()? else { return Err(Malformed.into()) };
        let mut keys = Keys::default();
        for _ in 0..pairs {
            let key = Reader(self.key(&mut keys)?).item()?;
            each(key, self)?;
        }
        Ok(())
    }

    /// The next byte string.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        match self.item()? {
            Item::Bytes(bytes) => Ok(bytes),
            Item::Integer(_) | Item::Text(_) | Item::Array(_) | Item::Map(_) | Item::Other => Err(Malformed),
        }
    }

    /// The next integer.
    pub(super) fn integer(&mut self) -> Result<i64, Malformed> {
        match self.item()? {
            Item::Integer(value) => Ok(value),
            Item::Bytes(_) | Item::Text(_) | Item::Array(_) | Item::Map(_) | Item::Other => Err(Malformed),
        }
    }

    /// A key of a map: an integer or a text (CTAP 2.1 §8), for the first time.
    fn key(&mut self, keys: &mut Keys<'a>) -> Result<&'a [u8], Malformed> {
        let before = self.0;
        if !matches!(self.item()?, Item::Integer(_) | Item::Text(_)) {
            return Err(Malformed);
        }
        let key = before.get(..before.len() - self.0.len()).ok_or(Malformed)?;
        keys.add(key)?;
        Ok(key)
    }

    fn skip(&mut self, levels: u8) -> Result<(), Malformed> {
        let below = levels.checked_sub(1).ok_or(Malformed)?;
        match self.item()? {
            Item::Array(items) => (0..items).try_for_each(|_| self.skip(below)),
            Item::Map(pairs) => {
                let mut keys = Keys::default();
                (0..pairs).try_for_each(|_| self.key(&mut keys).and_then(|_| self.skip(below)))
            }
            Item::Integer(_) | Item::Bytes(_) | Item::Text(_) | Item::Other => Ok(()),
        }
    }

    /// The number in or after a head, in as few bytes as possible.
    fn argument(&mut self, info: u8) -> Result<u64, Malformed> {
        let (value, least) = match info {
            0..24 => (u64::from(info), 0),
            24 => (u64::from(u8::from_be_bytes(*self.take_array()?)), 24),
            25 => (u64::from(u16::from_be_bytes(*self.take_array()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(*self.take_array()?)), 1 << 16),
            27 => (u64::from_be_bytes(*self.take_array()?), 1 << 32),
            _ => return Err(Malformed),
        };
        if value < least { Err(Malformed) } else { Ok(value) }
    }

    /// `false`, `true`, `null`, `undefined`, and floating-point numbers of each size.
    fn other(&mut self, info: u8) -> Result<Item<'a>, Malformed> {
        let length = match info {
            20..=23 => 0,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(Malformed),
        };
        self.take(length).map(|_| Item::Other)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// The encoded keys of one map. An item has one encoding, so equal keys are equal bytes.
#[derive(Default)]
struct Keys<'a>(Vec<&'a [u8]>);

impl<'a> Keys<'a> {
    fn add(&mut self, key: &'a [u8]) -> Result<(), Malformed> {
        if self.0.len() == MOST_KEYS || self.0.contains(&key) {
            return Err(Malformed);
        }
        self.0.push(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_well_formed(bytes: &[u8]) -> bool {
        let mut reader = Reader::new(bytes);
        reader.whole().is_ok_and(|whole| whole == bytes) && reader.end().is_ok()
    }

    #[test]
    fn what_the_specification_shows_is_read() {
        // RFC 8949 appendix A, what of it is canonical and has no tag.
        for bytes in [
            &b"\x00"[..],
            b"\x17",
            b"\x18\x18",
            b"\x19\x03\xe8",
            b"\x1a\x00\x0f\x42\x40",
            b"\x20",
            b"\x38\x63",
            b"\x1b\x00\x00\x00\xe8\xd4\xa5\x10\x00",
            b"\xf4",
            b"\xf6",
            b"\xf9\x3c\x00",
            b"\xfa\x47\xc3\x50\x00",
            b"\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a",
            b"\x40",
            b"\x44\x01\x02\x03\x04",
            b"\x60",
            b"\x62\xc3\xbc",
            b"\x80",
            b"\x83\x01\x82\x02\x03\x82\x04\x05",
            b"\xa0",
            b"\xa2\x01\x02\x03\x04",
            b"\xa2\x61\x61\x01\x61\x62\x82\x02\x03",
        ] {
            assert!(is_well_formed(bytes), "{bytes:02x?}");
        }
        assert_eq!(Reader::new(b"\x39\x01\x00").item(), Ok(Item::Integer(-257)));
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        for (bytes, why) in [
            (&b""[..], "nothing"),
            (b"\x18\x17", "an integer in two bytes instead of one"),
            (b"\x19\x00\xff", "an integer in three bytes instead of two"),
            (b"\x1a\x00\x00\xff\xff", "an integer in five bytes instead of three"),
            (b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff", "an integer in nine bytes instead of five"),
            (b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", "an integer beyond 63 bits"),
            (b"\x58\x01\x00", "a length in two bytes instead of one"),
            (b"\x5f\x41\x00\xff", "bytes of indefinite length"),
            (b"\x7f\x61\x61\xff", "text of indefinite length"),
            (b"\x9f\x01\xff", "an array of indefinite length"),
            (b"\xbf\x01\x02\xff", "a map of indefinite length"),
            (b"\xff", "a break"),
            (b"\xc0\x60", "a tag"),
            (b"\xf8\x20", "an unassigned simple value"),
            (b"\x1c", "a reserved head"),
            (b"\x42\x00", "bytes that end early"),
            (b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff", "a length beyond memory"),
            (b"\x9b\x00\x00\x00\x01\x00\x00\x00\x00", "an array beyond memory"),
            (b"\xa2\x01\x02\x01\x03", "a key twice"),
            (b"\xa1\xa1\x01\x02\x03", "a map as a key"),
            (b"\x61\xff", "text that is not UTF-8"),
            (b"\xa1\x01", "a key without a value"),
            (b"\x81\x81\x81\x81\x81\x81\x81\x81\x81\x00", "nesting without end"),
            (b"\x00\x00", "something behind it"),
        ] {
            assert!(!is_well_formed(bytes), "{why}");
        }
    }

    #[test]
    fn more_than_there_is_room_for_is_refused_at_its_head() {
        assert_eq!(Reader::new(b"\x83\x00\x00\x00").item(), Ok(Item::Array(3)));
        assert_eq!(Reader::new(b"\x83\x00\x00").item(), Err(Malformed));
        assert_eq!(Reader::new(b"\xa2\x00\x00\x01\x00").item(), Ok(Item::Map(2)));
        assert_eq!(Reader::new(b"\xa2\x00\x00\x01").item(), Err(Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&bytes);
            while let Ok(whole) = reader.whole() {
                prop_assert!(is_well_formed(whole));
            }
            let _ = Reader::new(&bytes).map(|_, value| value.whole().map(|_| ()));
        }
    }
}
