//! The proxy-wasm ABI (version 0.2.1) as functions that cannot panic.
//!
//! The SDK's wrappers panic on header values that are not UTF-8 and on statuses that they do not expect, which a
//! client can bring about; a panic ends the VM for every request of the worker. Here every status that is not success
//! is [`HostError`], and data is bytes.

#![expect(unsafe_code, reason = "the host is reached through imported functions and hands over raw memory")]

use airlock_pipeline::{Headers, HostError, Reply, Side};

/// Buffers of the ABI.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

/// Header maps of the ABI.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Map {
    Request = 0,
    RequestTrailers = 1,
    Response = 2,
    CallResponse = 6,
}

/// Levels of the proxy's log.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Level {
    Info = 2,
    Warn = 3,
    Error = 4,
}

impl From<Side> for Map {
    fn from(side: Side) -> Self {
        match side {
            Side::Request => Self::Request,
            Side::Response => Self::Response,
        }
    }
}

impl From<Side> for Buffer {
    fn from(side: Side) -> Self {
        match side {
            Side::Request => Self::RequestBody,
            Side::Response => Self::ResponseBody,
        }
    }
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *mut *mut u8,
        data_size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *const u8,
        data_size: usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
        revision: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        revision: u32,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, metric: *mut u32) -> u32;
    fn proxy_increment_metric(metric: u32, by: i64) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

/// The status of a property, buffer or header map that is not there.
const NOT_FOUND: u32 = 1;

fn done(status: u32) -> Result<(), HostError> {
    if status == 0 { Ok(()) } else { Err(HostError) }
}

/// Calls `fetch` with the places for a pointer and a size and takes over the memory that the host fills in.
fn received(fetch: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, HostError> {
    let mut data = std::ptr::null_mut();
    let mut size = 0;
    done(fetch(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the ABI says that the host has allocated `size` bytes with this module's own allocator
    // (`proxy_on_memory_allocate`, a `Vec` with that capacity) and gives up ownership.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

pub(crate) fn log(level: Level, message: &str) {
    // SAFETY: the host reads `message` during the call only.
    let _ = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// Time since the Unix epoch. A clock that does not answer stands at its end, where every token has expired.
pub(crate) fn now_nanoseconds() -> u64 {
    let mut time = 0;
    // SAFETY: `time` is valid for writes during the call.
    let status = unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    done(status).map_or(u64::MAX, |()| time)
}

pub(crate) fn set_tick_period(milliseconds: u32) -> Result<(), HostError> {
    // SAFETY: no memory is passed.
    done(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

pub(crate) fn buffer(buffer: Buffer, size: usize) -> Result<Vec<u8>, HostError> {
    // SAFETY: see `received`.
    received(|data, data_size| unsafe { proxy_get_buffer_bytes(buffer as u32, 0, size, data, data_size) })
}

pub(crate) fn replace_buffer(buffer: Buffer, size: usize, bytes: &[u8]) -> Result<(), HostError> {
    // SAFETY: the host reads `bytes` during the call only.
    done(unsafe { proxy_set_buffer_bytes(buffer as u32, 0, size, bytes.as_ptr(), bytes.len()) })
}

pub(crate) fn headers(map: Map) -> Result<Headers, HostError> {
    // SAFETY: see `received`.
    let bytes = received(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) })?;
    read_map(bytes).ok_or(HostError)
}

pub(crate) fn set_header(map: Map, name: &str, value: &str) -> Result<(), HostError> {
    // SAFETY: the host reads both strings during the call only.
    done(unsafe {
        proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

pub(crate) fn remove_header(map: Map, name: &str) -> Result<(), HostError> {
    // SAFETY: the host reads `name` during the call only.
    done(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

pub(crate) fn clear_map(map: Map) -> Result<(), HostError> {
    let empty = write_map(&[]);
    // SAFETY: the host reads `empty` during the call only.
    done(unsafe { proxy_set_header_map_pairs(map as u32, empty.as_ptr(), empty.len()) })
}

/// A value that all workers share, with its revision; `None` where there is none.
pub(crate) fn shared(key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
    let mut absent = false;
    let mut revision = 0;
    let value = received(|value, size| {
        // SAFETY: see `received`; the host reads `key` and writes `revision` during the call only.
        let status =
            unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), value, size, &raw mut revision) };
        absent = status == NOT_FOUND;
        status
    });
    if absent { Ok(None) } else { value.map(|value| Some((value, revision))) }
}

pub(crate) fn share(key: &str, value: &[u8], revision: u32) -> Result<(), HostError> {
    // SAFETY: the host reads both during the call only.
    done(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), revision) })
}

/// A property; `None` where the host has none of that name at this moment. That it will not say is another matter:
/// whoever takes it for absence forgets what an earlier filter has found out.
pub(crate) fn property(name: &str) -> Result<Option<Vec<u8>>, HostError> {
    let mut absent = false;
    let value = received(|value, size| {
        // SAFETY: see `received`; the host reads `name` during the call only.
        let status = unsafe { proxy_get_property(name.as_ptr(), name.len(), value, size) };
        absent = status == NOT_FOUND;
        status
    });
    if absent { Ok(None) } else { value.map(Some) }
}

pub(crate) fn set_property(name: &str, value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the host reads both during the call only.
    done(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

pub(crate) fn reply(reply: &Reply) -> Result<(), HostError> {
    let headers = write_map(&reply.headers);
    // SAFETY: the host reads all of it during the call only. -1 stands for "no gRPC status".
    done(unsafe {
        proxy_send_local_response(
            u32::from(reply.status),
            reply.reason.as_ptr(),
            reply.reason.len(),
            reply.body.as_ptr(),
            reply.body.len(),
            headers.as_ptr(),
            headers.len(),
            -1,
        )
    })
}

/// A counter of that name, new or old.
pub(crate) fn define_counter(name: &str) -> Result<u32, HostError> {
    const COUNTER: u32 = 0;
    let mut metric = 0;
    // SAFETY: the host reads `name` and writes `metric` during the call only.
    done(unsafe { proxy_define_metric(COUNTER, name.as_ptr(), name.len(), &raw mut metric) })?;
    Ok(metric)
}

pub(crate) fn increment(metric: u32) -> Result<(), HostError> {
    // SAFETY: no memory is passed.
    done(unsafe { proxy_increment_metric(metric, 1) })
}

/// From here to the end of the callback, calls concern the stream or root of that id.
pub(crate) fn act_for(context: u32) -> Result<(), HostError> {
    // SAFETY: no memory is passed.
    done(unsafe { proxy_set_effective_context(context) })
}

/// Lets a request that was paused go on, after the callback.
pub(crate) fn continue_request() -> Result<(), HostError> {
    const REQUEST: u32 = 0;
    // SAFETY: no memory is passed.
    done(unsafe { proxy_continue_stream(REQUEST) })
}

/// Calls a function that the host offers beyond the ABI; an error also where it has none of that name.
pub(crate) fn foreign_function(name: &str, argument: &[u8]) -> Result<Vec<u8>, HostError> {
    // SAFETY: see `received`; the host reads name and argument during the call only.
    received(|result, size| unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            argument.as_ptr(),
            argument.len(),
            result,
            size,
        )
    })
}

/// Reads the ABI's form of a header map: a count, the sizes of all names and values, then each followed by a zero.
fn read_map(bytes: Vec<u8>) -> Option<Headers> {
    let Some((count, rest)) = bytes.split_first_chunk::<4>() else { return Some(Headers::default()) };
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    let (sizes, _) = rest.split_at_checked(count.checked_mul(8)?)?;
    let mut at = sizes.len().checked_add(4)?;
    let mut take = |size: &[u8]| {
        let size = usize::try_from(u32::from_le_bytes(size.try_into().ok()?)).ok()?;
        let start = at;
        let end = start.checked_add(size)?;
        at = end.checked_add(1)?;
        Some(start..end)
    };
    let mut lines = Vec::with_capacity(count);
    for pair in sizes.chunks_exact(8) {
        let (name, value) = pair.split_at_checked(4)?;
        lines.push((take(name)?, take(value)?));
    }
    Headers::within(bytes, lines)
}

fn write_map(lines: &[(&str, String)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length = |size: usize| u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes();
    bytes.extend_from_slice(&length(lines.len()));
    for (name, value) in lines {
        bytes.extend_from_slice(&length(name.len()));
        bytes.extend_from_slice(&length(value.len()));
    }
    for (name, value) in lines {
        for text in [*name, value] {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        }
    }
    bytes
}
