//! What a proxy keeps for its module, in memory, and what each import of the ABI does with it.

use std::collections::BTreeMap;

use super::host::Guest;

/// Header lines as raw bytes.
pub(super) type Lines = Vec<(Vec<u8>, Vec<u8>)>;

pub(super) const OK: u32 = 0;
pub(super) const NOT_FOUND: u32 = 1;
pub(super) const BAD_ARGUMENT: u32 = 2;
const CAS_MISMATCH: u32 = 8;
pub(super) const INTERNAL_FAILURE: u32 = 10;
const UNIMPLEMENTED: u32 = 12;

/// Functions of ABI 0.2.1 and of WASI that Envoy offers, as far as this module may ever need them.
pub(super) const OFFERED: [(&str, &str); 50] = [
    ("env", "proxy_add_header_map_value"),
    ("env", "proxy_call_foreign_function"),
    ("env", "proxy_close_stream"),
    ("env", "proxy_continue_stream"),
    ("env", "proxy_define_metric"),
    ("env", "proxy_dequeue_shared_queue"),
    ("env", "proxy_done"),
    ("env", "proxy_enqueue_shared_queue"),
    ("env", "proxy_get_buffer_bytes"),
    ("env", "proxy_get_buffer_status"),
    ("env", "proxy_get_current_time_nanoseconds"),
    ("env", "proxy_get_header_map_pairs"),
    ("env", "proxy_get_header_map_size"),
    ("env", "proxy_get_header_map_value"),
    ("env", "proxy_get_log_level"),
    ("env", "proxy_get_metric"),
    ("env", "proxy_get_property"),
    ("env", "proxy_get_shared_data"),
    ("env", "proxy_get_status"),
    ("env", "proxy_grpc_call"),
    ("env", "proxy_grpc_cancel"),
    ("env", "proxy_grpc_close"),
    ("env", "proxy_grpc_send"),
    ("env", "proxy_grpc_stream"),
    ("env", "proxy_http_call"),
    ("env", "proxy_increment_metric"),
    ("env", "proxy_log"),
    ("env", "proxy_record_metric"),
    ("env", "proxy_register_shared_queue"),
    ("env", "proxy_remove_header_map_value"),
    ("env", "proxy_replace_header_map_value"),
    ("env", "proxy_resolve_shared_queue"),
    ("env", "proxy_send_local_response"),
    ("env", "proxy_set_buffer_bytes"),
    ("env", "proxy_set_effective_context"),
    ("env", "proxy_set_header_map_pairs"),
    ("env", "proxy_set_property"),
    ("env", "proxy_set_shared_data"),
    ("env", "proxy_set_tick_period_milliseconds"),
    ("wasi_snapshot_preview1", "args_get"),
    ("wasi_snapshot_preview1", "args_sizes_get"),
    ("wasi_snapshot_preview1", "clock_time_get"),
    ("wasi_snapshot_preview1", "environ_get"),
    ("wasi_snapshot_preview1", "environ_sizes_get"),
    ("wasi_snapshot_preview1", "fd_close"),
    ("wasi_snapshot_preview1", "fd_read"),
    ("wasi_snapshot_preview1", "fd_seek"),
    ("wasi_snapshot_preview1", "fd_write"),
    ("wasi_snapshot_preview1", "proc_exit"),
    ("wasi_snapshot_preview1", "random_get"),
];

/// The state of the proxy beside its streams.
#[derive(Default)]
pub(super) struct Proxy {
    /// Root id of the filter at work.
    pub(super) root_id: String,
    /// Its configuration.
    pub(super) configuration: Vec<u8>,
    /// The clock, nanoseconds since the Unix epoch.
    pub(super) now: u64,
    /// What the module has logged, and what it wrote as it fell.
    pub(super) log: Vec<String>,
    /// The ticks that a filter wants, milliseconds.
    pub(super) tick: Option<u32>,
    /// HTTP calls that were sent and not answered.
    pub(super) calls: Vec<HttpCall>,
    /// Counters that were defined, and where they stand.
    pub(super) counters: Vec<(String, u32)>,
    /// Headers of the answer to a call, during its callback.
    pub(super) call_answer: Lines,
    /// The stream of the callback under way.
    pub(super) stream: Stream,
    /// What fails.
    pub(super) fault: Option<Fault>,
    /// How often each import was called.
    pub(super) called: BTreeMap<&'static str, usize>,
    /// What all VMs share, with revisions.
    shared: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    drawn: u64,
    next_token: u32,
}

/// A stream as the filter at work sees it; sides are 0 for the request and 1 for the response.
#[derive(Default)]
pub(super) struct Stream {
    /// Header lines of both sides.
    pub(super) headers: [Lines; 2],
    /// Whether the filter can reach them at this moment.
    pub(super) visible: [bool; 2],
    /// Trailers of the request, during their callback.
    pub(super) trailers: Lines,
    /// What the filter sees of the bodies.
    pub(super) bodies: [Vec<u8>; 2],
    /// Filter state, by name.
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The answer that a filter gave in the server's stead.
    pub(super) reply: Option<(Lines, Vec<u8>)>,
}

/// An HTTP call of the module.
#[derive(Clone, Debug)]
pub(super) struct HttpCall {
    pub(super) token: u32,
    pub(super) cluster: String,
    pub(super) headers: Lines,
    pub(super) body: Vec<u8>,
}

/// One import that fails: the call of that number, or every one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) import: &'static str,
    pub(super) call: Option<usize>,
    pub(super) status: u32,
}

impl Proxy {
    /// A proxy whose clock stands in the year 2027.
    pub(super) fn new(fault: Option<Fault>) -> Self {
        Self { now: 1_800_000_000_000_000_000, fault, ..Self::default() }
    }

    /// Counts a call of `import` and says whether, and how, it has to fail.
    pub(super) fn fault(&mut self, import: &'static str) -> Option<u32> {
        let calls = self.called.entry(import).or_default();
        let number = *calls;
        *calls += 1;
        let fault = self.fault.filter(|fault| fault.import == import)?;
        fault.call.is_none_or(|call| call == number).then_some(fault.status)
    }

    /// What `import` does. An import that the module has and never calls is not there.
    pub(super) fn serve(&mut self, import: &str, arguments: &[u32], guest: &mut Guest<'_>) -> u32 {
        match (import, arguments) {
            ("proxy_log", &[level, text, size]) => {
                self.log.push(format!("{level} {}", String::from_utf8_lossy(&guest.read(text, size))));
            }
            ("proxy_get_current_time_nanoseconds", &[time]) => guest.write(time, &self.now.to_le_bytes()),
            ("proxy_set_tick_period_milliseconds", &[period]) => self.tick = Some(period),
            ("proxy_set_effective_context", &[_]) => {}
            // This host checks no signatures: the module does it itself.
            ("proxy_call_foreign_function", _) => return NOT_FOUND,
            ("proxy_define_metric", &[0, name, size, metric]) => {
                let name = String::from_utf8(guest.read(name, size)).unwrap();
                let known = self.counters.iter().position(|(counter, _)| *counter == name);
                let place = known.unwrap_or_else(|| {
                    self.counters.push((name, 0));
                    self.counters.len() - 1
                });
                guest.write(metric, &u32::try_from(place).unwrap().to_le_bytes());
            }
            ("proxy_increment_metric", &[metric, by]) => match self.counters.get_mut(metric as usize) {
                Some((_, count)) => *count += by,
                None => return NOT_FOUND,
            },
            ("proxy_get_buffer_bytes", &[buffer, start, size, to, to_size]) => {
                let Some(bytes) = self.buffer(buffer) else { return NOT_FOUND };
                let (start, size) = (start as usize, size as usize);
                let bytes = bytes.iter().skip(start).take(size).copied().collect::<Vec<u8>>();
                guest.give(&bytes, to, to_size);
            }
            ("proxy_set_buffer_bytes", &[buffer, start, size, from, from_size]) => {
                let bytes = guest.read(from, from_size);
                let Some(old) = self.buffer(buffer) else { return NOT_FOUND };
                let start = (start as usize).min(old.len());
                let end = start.saturating_add(size as usize).min(old.len());
                old.splice(start..end, bytes);
            }
            ("proxy_get_header_map_pairs", &[map, to, to_size]) => {
                let Some(lines) = self.map(map) else { return BAD_ARGUMENT };
                let bytes = write_map(lines);
                guest.give(&bytes, to, to_size);
            }
            ("proxy_replace_header_map_value", &[map, name, name_size, value, value_size]) => {
                let (name, value) = (guest.read(name, name_size), guest.read(value, value_size));
                let Some(lines) = self.map(map) else { return BAD_ARGUMENT };
                lines.retain(|(old, _)| *old != name);
                lines.push((name, value));
            }
            ("proxy_remove_header_map_value", &[map, name, name_size]) => {
                let name = guest.read(name, name_size);
                let Some(lines) = self.map(map) else { return BAD_ARGUMENT };
                lines.retain(|(old, _)| *old != name);
            }
            ("proxy_set_header_map_pairs", &[map, pairs, size]) => {
                let pairs = read_map(&guest.read(pairs, size));
                let Some(lines) = self.map(map) else { return BAD_ARGUMENT };
                *lines = pairs;
            }
            ("proxy_get_shared_data", &[key, key_size, to, to_size, revision]) => {
                let Some((value, now)) = self.shared.get(&guest.read(key, key_size)) else {
                    return NOT_FOUND;
                };
                guest.give(value, to, to_size);
                guest.write(revision, &now.to_le_bytes());
            }
            ("proxy_set_shared_data", &[key, key_size, value, value_size, revision]) => {
                let (key, value) = (guest.read(key, key_size), guest.read(value, value_size));
                let now = self.shared.get(&key).map(|(_, now)| *now);
                if now.is_some_and(|now| revision != 0 && revision != now) {
                    return CAS_MISMATCH;
                }
                self.shared.insert(key, (value, now.unwrap_or(0) + 1));
            }
            ("proxy_get_property", &[path, path_size, to, to_size]) => {
                let value = match guest.read(path, path_size) {
                    path if path == b"plugin_root_id" => Some(self.root_id.clone().into_bytes()),
                    path => self.stream.properties.get(&path).cloned(),
                };
                let Some(value) = value else { return NOT_FOUND };
                guest.give(&value, to, to_size);
            }
            ("proxy_set_property", &[path, path_size, value, value_size]) => {
                let (path, value) = (guest.read(path, path_size), guest.read(value, value_size));
                self.stream.properties.insert(path, value);
            }
            ("proxy_send_local_response", &[status, _, _, body, body_size, headers, headers_size, _]) => {
                let mut lines = vec![(b":status".to_vec(), status.to_string().into_bytes())];
                lines.extend(read_map(&guest.read(headers, headers_size)));
                self.stream.reply = Some((lines, guest.read(body, body_size)));
            }
            ("proxy_http_call", &[cluster, size, headers, headers_size, body, body_size, _, _, _, token]) => {
                self.next_token += 1;
                self.calls.push(HttpCall {
                    token: self.next_token,
                    cluster: String::from_utf8(guest.read(cluster, size)).unwrap(),
                    headers: read_map(&guest.read(headers, headers_size)),
                    body: guest.read(body, body_size),
                });
                guest.write(token, &self.next_token.to_le_bytes());
            }
            ("random_get", &[at, size]) => {
                for offset in 0..size {
                    self.drawn = self.drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    guest.write(at + offset, &[self.drawn.to_be_bytes()[0]]);
                }
            }
            ("environ_sizes_get", &[count, size]) => {
                guest.write(count, &[0; 4]);
                guest.write(size, &[0; 4]);
            }
            ("environ_get", _) => {}
            ("fd_write", &[_, pieces, count, written]) => {
                let piece = |at: u32| guest.read(guest.number(at), guest.number(at + 4));
                let text = (0..count).flat_map(|index| piece(pieces + 8 * index)).collect::<Vec<u8>>();
                guest.write(written, &u32::try_from(text.len()).unwrap().to_le_bytes());
                self.log.push(String::from_utf8_lossy(&text).into_owned());
            }
            _ => return UNIMPLEMENTED,
        }
        OK
    }

    fn buffer(&mut self, buffer: u32) -> Option<&mut Vec<u8>> {
        match buffer {
            0 => Some(&mut self.stream.bodies[0]),
            1 => Some(&mut self.stream.bodies[1]),
            7 => Some(&mut self.configuration),
            _ => None,
        }
    }

    fn map(&mut self, map: u32) -> Option<&mut Lines> {
        let stream = &mut self.stream;
        match map {
            0 => stream.visible[0].then_some(&mut stream.headers[0]),
            2 => stream.visible[1].then_some(&mut stream.headers[1]),
            1 => Some(&mut stream.trailers),
            6 => Some(&mut self.call_answer),
            _ => None,
        }
    }
}

/// The ABI's form of a header map: a count, the sizes of all names and values, then each followed by a zero.
fn write_map(lines: &Lines) -> Vec<u8> {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let mut map = u32::try_from(lines.len()).unwrap().to_le_bytes().to_vec();
    for (name, value) in lines {
        map.extend([size(name), size(value)].concat());
    }
    for (name, value) in lines {
        map.extend([name.as_slice(), b"\0", value, b"\0"].concat());
    }
    map
}

fn read_map(map: &[u8]) -> Lines {
    let number = |at: usize| u32::from_le_bytes(map[at..at + 4].try_into().unwrap()) as usize;
    let count = number(0);
    let mut at = 4 + 8 * count;
    let mut text = |size: usize| {
        let text = map[at..at + size].to_vec();
        assert_eq!(map[at + size], 0, "names and values end with a zero");
        at += size + 1;
        text
    };
    (0..count).map(|index| (text(number(4 + 8 * index)), text(number(8 + 8 * index)))).collect()
}
