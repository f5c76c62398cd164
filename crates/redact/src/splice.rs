use std::ops::Range;

/// A copy of `input` with some ranges replaced; nothing is allocated until the first replacement.
pub(crate) struct Splice<'a> {
    input: &'a [u8],
    output: Vec<u8>,
    copied: usize,
}

impl<'a> Splice<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { input, output: Vec::new(), copied: 0 }
    }

    /// Leaves `range` out and returns the output, for the replacement to be written to. Ranges must come in order.
    pub(crate) fn replace(&mut self, range: Range<usize>) -> &mut Vec<u8> {
        if self.output.capacity() == 0 {
            self.output.reserve(self.input.len());
        }
        self.output.extend_from_slice(self.input.get(self.copied..range.start).unwrap_or_default());
        self.copied = range.end;
        &mut self.output
    }

    /// The whole copy, or `None` if nothing was replaced.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        if self.copied == 0 {
            return None;
        }
        self.output.extend_from_slice(self.input.get(self.copied..).unwrap_or_default());
        Some(self.output)
    }
}
