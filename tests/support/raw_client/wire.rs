//! AMQP's primitive types on the wire (specification 4.2.5): what method arguments, properties and
//! tables are made of. Called by every encoder and decoder of this client.

/// Writes arguments in the order the specification lists them.
#[derive(Debug, Default, Clone)]
pub struct ArgumentWriter {
    bytes: Vec<u8>,
}

impl ArgumentWriter {
    /// One octet.
    #[must_use]
    pub fn octet(mut self, value: u8) -> Self {
        self.bytes.push(value);
        self
    }

    /// A 16-bit integer.
    #[must_use]
    pub fn short(mut self, value: u16) -> Self {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    /// A 32-bit integer.
    #[must_use]
    pub fn long(mut self, value: u32) -> Self {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    /// A 64-bit integer.
    #[must_use]
    pub fn long_long(mut self, value: u64) -> Self {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    /// A string of at most 255 bytes; a longer one is a mistake of the test.
    #[must_use]
    pub fn short_string(mut self, value: &str) -> Self {
        self.bytes.push(u8::try_from(value.len()).expect("a short string holds at most 255 bytes"));
        self.bytes.extend(value.as_bytes());
        self
    }

    /// A string behind a 32-bit length.
    #[must_use]
    pub fn long_string(mut self, value: &[u8]) -> Self {
        self.bytes.extend(length_of(value).to_be_bytes());
        self.bytes.extend(value);
        self
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, value: &[u8]) -> Self {
        self.bytes.extend(value);
        self
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The 32-bit length that goes before `bytes`.
#[must_use]
pub fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("tests send less than 4 GiB at once")
}

/// Reads arguments in the order the specification lists them; panics when the broker sent too few.
#[derive(Debug, Clone)]
pub struct ArgumentReader<'a> {
    rest: &'a [u8],
}

impl<'a> ArgumentReader<'a> {
    /// Starts at the first byte of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        assert!(
            count <= self.rest.len(),
            "the broker sent {} bytes too few",
            count - self.rest.len()
        );
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().expect("`take` gives as many bytes as were asked for")
    }

    /// One octet.
    pub fn octet(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// A 16-bit integer.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// A 32-bit integer.
    pub fn long(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    /// A 64-bit integer.
    pub fn long_long(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// A string behind an 8-bit length.
    pub fn short_string(&mut self) -> String {
        let length = usize::from(self.octet());
        String::from_utf8(self.take(length).to_vec()).expect("short strings are UTF-8")
    }

    /// A string behind a 32-bit length.
    pub fn long_string(&mut self) -> &'a [u8] {
        let length = self.long() as usize;
        self.take(length)
    }

    /// True once everything was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}
