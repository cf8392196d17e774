//! Inputs made of seeds by a generator that always makes the same ones.

/// Random numbers, the same each time (xorshift64).
pub struct Random(u64);

impl Random {
    /// `seed` is not 0.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `bound`, which may be 0: then 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.number() >> 20) as usize % bound }
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len()))
    }
}

/// Bytes that mean something somewhere.
const BYTES: &[u8] = b"\0\x01\x03\x04\x07\x08\x10\x7f\x80\xff\"{}[],:\\/-=% \n09.";

/// Numbers at the edges of types.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "255",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e9",
    "0.5",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "0-18446744073709551615",
];

/// Longest input.
const MOST: usize = 64 << 10;

/// What of a text is a word.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./+".contains(&byte)
}

/// Makes inputs of seeds.
pub struct Mutator<'s> {
    random: Random,
    seeds: &'s [Vec<u8>],
    words: Vec<&'s [u8]>,
}

impl<'s> Mutator<'s> {
    pub fn new(seeds: &'s [Vec<u8>], seed: u64) -> Self {
        Self { random: Random::new(seed), seeds, words: words(seeds) }
    }

    /// Another input.
    pub fn make(&mut self) -> Vec<u8> {
        let mut input = self.random.pick(self.seeds).cloned().unwrap_or_default();
        for _ in 0..1 << self.random.below(5) {
            self.change(&mut input);
            input.truncate(MOST);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.below(input.len());
        let end = at + self.random.below((input.len() - at + 1).min(64));
        match self.random.below(11) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.random.below(8);
                }
            }
            1 | 2 => {
                let byte = self.random.pick(BYTES).copied().unwrap_or(0);
                match input.get_mut(at) {
                    Some(place) if self.random.below(2) == 0 => *place = byte,
                    _ => input.insert(at, byte),
                }
            }
            3 => drop(input.drain(at..end)),
            4 => {
                let again = input[at..end].to_vec();
                let place = self.random.below(input.len() + 1);
                input.splice(place..place, again);
            }
            5 => {
                let other = self.random.pick(self.seeds).map_or(&[][..], Vec::as_slice);
                let from = self.random.below(other.len());
                let to = from + self.random.below((other.len() - from + 1).min(256));
                input.splice(at..end, other[from..to].iter().copied());
            }
            6 => input.truncate(at),
            7 => {
                let number = [0, 1, 4, 15, 16, 0x7fff_ffff, 0x8000_0000, u32::MAX][self.random.below(8)];
                if let Some(place) = input.get_mut(at & !3..).and_then(|rest| rest.first_chunk_mut()) {
                    *place = u32::to_le_bytes(number);
                }
            }
            8 => {
                let number = self.random.pick(NUMBERS).map_or(&b""[..], |number| number.as_bytes());
                splice(input, at, number);
            }
            _ => {
                let word = self.random.pick(&self.words).copied().unwrap_or_default();
                splice(input, at, word);
            }
        }
    }
}

/// Puts `word` where there is one at `at` or behind.
fn splice(input: &mut Vec<u8>, at: usize, word: &[u8]) {
    let behind = |from: usize, is: fn(&u8) -> bool| {
        input.iter().skip(from).position(is).map_or(input.len(), |offset| from + offset)
    };
    let from = behind(at, |byte| is_word(*byte));
    let to = behind(from, |byte| !is_word(*byte));
    input.splice(from..to, word.iter().copied());
}

/// Each word of the seeds once.
pub fn words(seeds: &[Vec<u8>]) -> Vec<&[u8]> {
    let all = seeds.iter().flat_map(|seed| seed.split(|byte| !is_word(*byte)));
    let mut words: Vec<_> = all.filter(|word| (2..=40).contains(&word.len())).collect();
    words.sort_unstable();
    words.dedup();
    words
}
