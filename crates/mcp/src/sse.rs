//! Cutting an event stream into events, for a proxy that passes them on.
//!
//! The format is "server-sent events" of the HTML standard, section 9.2.5: lines end in LF, CRLF or CR in any mixture,
//! an empty line ends an event, and the stream may start with a byte-order mark. Everything that comes in goes out
//! again, in [`Event::raw`] or as what is still pending: nothing is normalised, so that a client sees the stream that
//! the server wrote.

use std::borrow::Cow;

use memchr::memchr2;

const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Cuts a stream that arrives in chunks. It keeps the bytes of the unfinished event only, and looks at each byte once.
#[derive(Debug)]
pub struct Splitter {
    max_event_bytes: usize,
    /// The unfinished event.
    buffer: Vec<u8>,
    /// Where the line that is being read starts in the buffer.
    line_start: usize,
    /// Whether the last chunk ended in a CR, to which an LF may still belong.
    after_return: bool,
    at_stream_start: bool,
    /// Whether a line in the buffer is more than a comment.
    has_fields: bool,
    failed: bool,
}

/// One event as the server wrote it, up to and with the empty line that ends it.
///
/// When a chunk ends between the CR and the LF of that empty line, the event is complete without the LF. The LF then
/// makes an event of its own ([`Event::is_blank`]) as soon as it arrives: to a client it completes the CRLF, and were
/// it held back, a client that waits for it would see the event too late.
///
/// A comment before any field is complete with its line and makes an event of its own too: servers keep quiet streams
/// alive with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    raw: Vec<u8>,
    mark_length: usize,
}

/// An event is longer than the limit. The splitter is unusable from here on: what follows could be the event's rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {limit} bytes")]
pub struct EventTooLong {
    /// The limit, in bytes of the event as written.
    pub limit: usize,
}

impl Splitter {
    /// A splitter at the start of a stream. `max_event_bytes` bounds what is kept, and the size of every event.
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            max_event_bytes,
            buffer: Vec::new(),
            line_start: 0,
            after_return: false,
            at_stream_start: true,
            has_fields: false,
            failed: false,
        }
    }

    /// Takes the next bytes of the stream and returns the events that they complete.
    ///
    /// # Errors
    ///
    /// [`EventTooLong`], now and on every later call. Events that the same chunk completed before are lost: the stream
    /// has to be cut off.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Vec<Event>, EventTooLong> {
        let mut events = Vec::new();
        let mut rest = chunk;
        while !rest.is_empty() {
            let line = memchr2(b'\n', b'\r', rest);
            let (taken, ended) = match line {
                _ if self.after_return && rest.starts_with(b"\n") => (1, Ended::CarriedOver),
                None => (rest.len(), Ended::Nothing),
                Some(at) => match rest.get(at..) {
                    Some([b'\r', b'\n', ..]) => (at.saturating_add(2), Ended::Line { content: at }),
                    _ => (at.saturating_add(1), Ended::Line { content: at }),
                },
            };
            let (taken, behind) = rest.split_at_checked(taken).unwrap_or((rest, &[]));
            self.keep(taken)?;
            rest = behind;
            self.after_return = rest.is_empty() && taken.ends_with(b"\r");
            if self.ends_event(taken, ended) {
                events.push(self.take_event());
            }
        }
        Ok(events)
    }

    /// Bytes of the unfinished event.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// The bytes of the unfinished event, at the end of the stream.
    ///
    /// The standard has clients discard them, but some act on them. A proxy that checks events must not pass them on
    /// unchecked.
    pub fn into_pending(self) -> Vec<u8> {
        self.buffer
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), EventTooLong> {
        if self.failed || self.buffer.len().saturating_add(bytes.len()) > self.max_event_bytes {
            self.failed = true;
            self.buffer = Vec::new();
            return Err(EventTooLong { limit: self.max_event_bytes });
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether the bytes just kept complete an event; if they complete another line, the next one starts behind them.
    fn ends_event(&mut self, taken: &[u8], ended: Ended) -> bool {
        let blank = match ended {
            Ended::Nothing => return false,
            // Either the event before ended in a CR, and this LF is all there is, or a line within this event did.
            Ended::CarriedOver => self.buffer.len() == taken.len(),
            Ended::Line { content } => {
                let line_end = self.buffer.len().saturating_sub(taken.len()).saturating_add(content);
                let line = self.buffer.get(self.line_start..line_end).unwrap_or_default();
                let first = self.at_stream_start && self.line_start == 0;
                let line = line.strip_prefix(MARK).filter(|_| first).unwrap_or(line);
                self.has_fields |= !line.is_empty() && !line.starts_with(b":");
                line.is_empty() || !self.has_fields
            }
        };
        self.line_start = self.buffer.len();
        blank
    }

    fn take_event(&mut self) -> Event {
        let raw = std::mem::take(&mut self.buffer);
        let mark_length = if self.at_stream_start && raw.starts_with(MARK) { MARK.len() } else { 0 };
        self.line_start = 0;
        self.at_stream_start = false;
        self.has_fields = false;
        Event { raw, mark_length }
    }
}

/// What a piece of the stream brings to its end.
#[derive(Clone, Copy)]
enum Ended {
    Nothing,
    /// A line, after this many bytes of content in the piece.
    Line {
        content: usize,
    },
    /// A line that had ended already: the LF after a CR at the end of the chunk before.
    CarriedOver,
}

impl Event {
    /// The bytes as they came, the empty line included.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Whether there is nothing but line ends: neither fields nor comments.
    pub fn is_blank(&self) -> bool {
        self.fields().iter().all(|byte| matches!(byte, b'\r' | b'\n'))
    }

    /// The type of the event: the value of its last `event` field; `None` without one, which means `message`.
    pub fn name(&self) -> Option<&[u8]> {
        Lines(self.fields()).filter_map(|line| line.field(b"event")).last()
    }

    /// The values of the `data` fields joined with LF, as a client gets them; `None` without such a field.
    pub fn data(&self) -> Option<Cow<'_, [u8]>> {
        let mut values = Lines(self.fields()).filter_map(|line| line.data());
        let first = values.next()?;
        let Some(second) = values.next() else { return Some(Cow::Borrowed(first)) };
        let mut joined = first.to_vec();
        for value in std::iter::once(second).chain(values) {
            joined.push(b'\n');
            joined.extend_from_slice(value);
        }
        Some(Cow::Owned(joined))
    }

    /// The event with other data: every other line stays as and where it is, the new data stands where the first
    /// `data` line stood (before the empty line if there was none) and ends its lines in the same way.
    ///
    /// Data with line ends in it becomes several fields, which a client joins with LF.
    pub fn with_data(&self, data: &[u8]) -> Vec<u8> {
        let end = Lines(self.fields())
            .find(|line| line.data().is_some() || line.content.is_empty())
            .map_or(b"\n".as_slice(), |line| line.end);
        let mut written = self.raw.get(..self.mark_length).unwrap_or_default().to_vec();
        let mut pending = Some(data);
        for line in Lines(self.fields()) {
            let is_data = line.data().is_some();
            if (is_data || line.content.is_empty())
                && let Some(data) = pending.take()
            {
                write_data(&mut written, data, end);
            }
            if !is_data {
                append(&mut written, line.content);
                append(&mut written, line.end);
            }
        }
        written
    }

    fn fields(&self) -> &[u8] {
        self.raw.get(self.mark_length..).unwrap_or_default()
    }
}

impl std::fmt::Debug for Event {
    /// Shows the size only: data is payload.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Event").field("bytes", &self.raw.len()).finish_non_exhaustive()
    }
}

/// One line, and the line end as it was written.
struct Line<'a> {
    content: &'a [u8],
    end: &'a [u8],
}

impl<'a> Line<'a> {
    /// The value, if it is a `data` field.
    fn data(&self) -> Option<&'a [u8]> {
        self.field(b"data")
    }

    /// The value, if it is the field of that name.
    fn field(&self, name: &[u8]) -> Option<&'a [u8]> {
        match self.content.strip_prefix(name)? {
            [] => Some(&[]),
            [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
            _ => None,
        }
    }
}

/// The lines of a text, in order; the last one may lack its line end.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let content = memchr2(b'\n', b'\r', self.0).unwrap_or(self.0.len());
        let (content, rest) = self.0.split_at_checked(content)?;
        let end = match rest {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        let (end, behind) = rest.split_at_checked(end)?;
        self.0 = behind;
        Some(Line { content, end })
    }
}

fn write_data(written: &mut Vec<u8>, data: &[u8], end: &[u8]) {
    let mut ended = true;
    for line in Lines(data) {
        write_field(written, line.content, end);
        ended = !line.end.is_empty();
    }
    // Data that is empty or ends in a line end has an empty last line.
    if ended {
        write_field(written, b"", end);
    }
}

fn write_field(written: &mut Vec<u8>, value: &[u8], end: &[u8]) {
    append(written, b"data: ");
    append(written, value);
    append(written, end);
}

/// Appends a piece that has to stay apart from the one before: a CR and an LF that meet would become one line end.
fn append(written: &mut Vec<u8>, piece: &[u8]) {
    if written.ends_with(b"\r") && piece.starts_with(b"\n") {
        written.push(b'\n');
    }
    written.extend_from_slice(piece);
}
