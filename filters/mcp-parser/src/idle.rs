//! When sessions were last used, as far as this proxy has seen it.
//!
//! A table of fixed size that all workers share. A session that is not in it, because another gateway served it or
//! others have taken its place, was last used when it was opened: that errs towards an end, after which a client opens
//! another session.

use airlock_pipeline::{Host, HostError, NEW};

/// Shared values that the table is spread over, so that workers seldom write to the same one.
const SLOTS: u16 = 1_024;

/// Sessions of one slot. With a slot full, the one that was not used for longest goes.
const SESSIONS: usize = 32;

/// Bytes of a digest that stand for a session, and of a time in seconds since the Unix epoch.
const DIGEST: usize = 16;
const ENTRY: usize = DIGEST + 8;

/// Notes that a session is used at `now`, and returns whether it had been idle for too long before. Times are seconds
/// since the Unix epoch; a use is written down only when the last one is 1/32 of `idle` ago.
///
/// # Errors
/// [`HostError`] where the proxy does not show the table.
pub(crate) fn touch(
    host: &mut dyn Host,
    session: &[u8],
    opened_at: u64,
    now: u64,
    idle: u32,
) -> Result<bool, HostError> {
    let digest = session.first_chunk::<DIGEST>().ok_or(HostError)?;
    let [first, second, ..] = *digest;
    let key = format!("airlock.sessions.{}", u16::from_be_bytes([first, second]) % SLOTS);
    let (table, revision) = host.shared(&key)?.unwrap_or((Vec::new(), NEW));
    let mut entries: Vec<([u8; DIGEST], u64)> = table.chunks_exact(ENTRY).filter_map(entry).collect();
    let known = entries.iter().find(|(known, _)| known == digest).map(|(_, used)| *used);
    let idle = u64::from(idle);
    let unused = now.saturating_sub(known.unwrap_or(opened_at));
    if unused > idle {
        return Ok(true);
    }
    if unused > idle / 32 {
        entries.retain(|(known, used)| known != digest && now.saturating_sub(*used) <= idle);
        entries.sort_unstable_by_key(|(_, used)| std::cmp::Reverse(*used));
        entries.truncate(SESSIONS - 1);
        entries.push((*digest, now));
        let table: Vec<u8> = entries
            .iter()
            .flat_map(|(digest, used)| digest.iter().copied().chain(used.to_be_bytes()))
            .collect();
        // Where another worker was faster, the next request writes it.
        let _ = host.share(&key, &table, revision);
    }
    Ok(false)
}

fn entry(bytes: &[u8]) -> Option<([u8; DIGEST], u64)> {
    let (digest, used) = bytes.split_first_chunk::<DIGEST>()?;
    Some((*digest, u64::from_be_bytes(used.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use airlock_pipeline::memory::MemoryHost;

    use super::*;

    const IDLE: u32 = 3_200;

    fn session(number: u8) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[2] = number;
        digest
    }

    #[test]
    fn a_session_lives_as_long_as_it_is_used() {
        let mut host = MemoryHost::default();
        for now in [0, 3_200, 6_400, 9_600] {
            assert_eq!(touch(&mut host, &session(1), 0, now, IDLE), Ok(false), "{now}");
        }
        assert_eq!(touch(&mut host, &session(1), 0, 12_801, IDLE), Ok(true));
        assert_eq!(touch(&mut host, &session(1), 0, 12_802, IDLE), Ok(true), "a try does not wake it up");
    }

    #[test]
    fn a_session_that_nobody_has_noted_counts_from_its_opening() {
        let mut host = MemoryHost::default();
        assert_eq!(touch(&mut host, &session(1), 100, 3_300, IDLE), Ok(false));
        assert_eq!(touch(&mut host, &session(2), 100, 3_301, IDLE), Ok(true));
    }

    #[test]
    fn uses_in_quick_succession_are_not_written_down() {
        let mut host = MemoryHost::default();
        assert_eq!(touch(&mut host, &session(1), 0, 100, IDLE), Ok(false));
        assert!(host.shared.is_empty());
        assert_eq!(touch(&mut host, &session(1), 0, 101, IDLE), Ok(false));
        let (written, revision) = host.shared.values().next().unwrap().clone();
        assert_eq!((written.len(), revision), (ENTRY, 1));
        assert_eq!(touch(&mut host, &session(1), 0, 201, IDLE), Ok(false));
        assert_eq!(host.shared.values().next().unwrap().1, 1);
    }

    #[test]
    fn the_table_does_not_grow_without_end() {
        let mut host = MemoryHost::default();
        for number in 0..=255 {
            assert_eq!(touch(&mut host, &session(number), 0, 1_000 + u64::from(number), IDLE), Ok(false));
        }
        assert_eq!(host.shared.values().next().unwrap().0.len(), SESSIONS * ENTRY);
        assert_eq!(touch(&mut host, &session(255), 0, 4_400, IDLE), Ok(false), "the newest is there");
        assert_eq!(touch(&mut host, &session(0), 0, 4_400, IDLE), Ok(true), "the oldest is not");
    }

    #[test]
    fn without_the_table_nothing_is_known_to_be_in_use() {
        let mut host = MemoryHost::default();
        host.faults.shared = true;
        assert_eq!(touch(&mut host, &session(1), 0, 1, IDLE), Err(HostError));
    }
}
