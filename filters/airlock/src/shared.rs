//! How filters of one chain share an exchange.
//!
//! The first filter writes a property that names this VM and a slot in it; a filter of the same VM finds the exchange
//! in memory. A filter in another VM can read only what stands in the property itself: the facts as JSON, written when
//! configuration says that there are other VMs.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::{Rc, Weak},
};

use airlock_pipeline::{Exchange, Facts};

/// The exchanges that are under way in this VM.
#[derive(Debug)]
pub struct Slots {
    vm: [u8; 16],
    next: u64,
    // Not hashed: the standard library ends the VM where the proxy has no randomness for the keys of a hash.
    exchanges: BTreeMap<u64, Weak<RefCell<Exchange>>>,
    /// At so many exchanges those are looked for that nobody has left.
    swept_at: usize,
}

/// A filter's end of a shared exchange.
#[derive(Clone, Debug)]
pub struct Link {
    vm: [u8; 16],
    slot: u64,
    separate_vms: bool,
    last: Vec<u8>,
}

/// What a filter finds when it looks for the exchange of a request.
#[derive(Debug)]
pub struct Joined {
    /// The exchange, shared with other filters of this VM or this filter's own copy.
    pub exchange: Rc<RefCell<Exchange>>,
    /// The filter's end of it.
    pub link: Link,
}

/// The property of a request says that its exchange is where this filter cannot see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfSight;

const KEY: usize = 16 + 8;

/// Exchanges below which nothing is swept.
const SWEPT_AT: usize = 1_024;

impl Slots {
    /// No exchanges yet, in a VM of that name.
    pub fn new(vm: [u8; 16]) -> Self {
        Self { vm, next: 0, exchanges: BTreeMap::new(), swept_at: SWEPT_AT }
    }

    /// Opens a new exchange, if `property` is absent, or joins the one that it names.
    ///
    /// # Errors
    /// [`OutOfSight`] when another VM holds it and has written no facts, or when this VM has lost it.
    pub fn join(&mut self, property: Option<&[u8]>, separate_vms: bool) -> Result<Joined, OutOfSight> {
        let Some(property) = property else { return Ok(self.open(separate_vms)) };
        let (key, facts) = property.split_at_checked(KEY).ok_or(OutOfSight)?;
        let (vm, slot) = key.split_first_chunk::<16>().ok_or(OutOfSight)?;
        let slot = u64::from_be_bytes(slot.try_into().map_err(|_| OutOfSight)?);
        let link = Link { vm: *vm, slot, separate_vms, last: facts.to_vec() };
        if *vm == self.vm {
            let exchange = self.exchanges.get(&slot).and_then(Weak::upgrade).ok_or(OutOfSight)?;
            return Ok(Joined { exchange, link });
        }
        let facts: Facts = serde_json::from_slice(facts).map_err(|_| OutOfSight)?;
        let mut exchange = Exchange::default();
        exchange.facts = facts;
        Ok(Joined { exchange: Rc::new(RefCell::new(exchange)), link })
    }

    fn open(&mut self, separate_vms: bool) -> Joined {
        // A filter that the proxy drops without a last word leaves its slot behind.
        if self.exchanges.len() >= self.swept_at {
            self.exchanges.retain(|_, exchange| exchange.strong_count() > 0);
            self.swept_at = self.exchanges.len().saturating_mul(2).max(SWEPT_AT);
        }
        let exchange = Rc::new(RefCell::new(Exchange::default()));
        let slot = self.next;
        self.next = self.next.wrapping_add(1);
        self.exchanges.insert(slot, Rc::downgrade(&exchange));
        Joined { exchange, link: Link { vm: self.vm, slot, separate_vms, last: Vec::new() } }
    }

    /// Forgets the exchange of `link` once its last filter is done.
    pub fn leave(&mut self, link: &Link) {
        if link.vm == self.vm && self.exchanges.get(&link.slot).is_some_and(|weak| weak.strong_count() <= 1) {
            self.exchanges.remove(&link.slot);
        }
    }

    /// Exchanges that are under way.
    pub fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Whether no exchange is under way.
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }
}

impl Link {
    /// Whether the property has to be read before and written after each callback.
    pub fn separate_vms(&self) -> bool {
        self.separate_vms
    }

    /// The property that leads other filters here.
    pub fn property(&self) -> Vec<u8> {
        let mut property = Vec::with_capacity(KEY + self.last.len());
        property.extend_from_slice(&self.vm);
        property.extend_from_slice(&self.slot.to_be_bytes());
        property.extend_from_slice(&self.last);
        property
    }

    /// Takes over what a filter in another VM has written since.
    pub fn load(&mut self, property: Option<&[u8]>, facts: &mut Facts) {
        let Some(written) = property.and_then(|property| property.get(KEY..)) else { return };
        if written != self.last.as_slice()
            && let Ok(newer) = serde_json::from_slice(written)
        {
            *facts = newer;
            self.last = written.to_vec();
        }
    }

    /// The property to write because `facts` have changed, if they have.
    pub fn store(&mut self, facts: &Facts) -> Option<Vec<u8>> {
        let now = serde_json::to_vec(facts).unwrap_or_default();
        if now == self.last {
            return None;
        }
        self.last = now;
        Some(self.property())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: [u8; 16] = [1; 16];
    const ELSEWHERE: [u8; 16] = [2; 16];

    #[test]
    fn filters_of_one_vm_share_one_exchange() {
        let mut slots = Slots::new(HERE);
        let first = slots.join(None, false).unwrap();
        let other = slots.join(None, false).unwrap();
        let second = slots.join(Some(&first.link.property()), false).unwrap();
        assert!(
            Rc::ptr_eq(&first.exchange, &second.exchange) && !Rc::ptr_eq(&first.exchange, &other.exchange)
        );
        first.exchange.borrow_mut().facts.host = "mcp.example.com".to_owned();
        assert_eq!(second.exchange.borrow().facts.host, "mcp.example.com");
    }

    #[test]
    fn a_slot_is_free_when_its_last_filter_has_left() {
        let mut slots = Slots::new(HERE);
        let first = slots.join(None, false).unwrap();
        let property = first.link.property();
        let second = slots.join(Some(&property), false).unwrap();
        slots.leave(&first.link);
        assert_eq!(slots.len(), 1, "the second filter is at work");
        drop(first);
        slots.leave(&second.link);
        assert!(slots.is_empty());
        assert_eq!(slots.join(Some(&property), false).unwrap_err(), OutOfSight, "lost");
    }

    #[test]
    fn exchanges_that_nobody_leaves_do_not_pile_up() {
        let mut slots = Slots::new(HERE);
        let kept: Vec<_> = (0..2_000).map(|_| slots.join(None, false).unwrap()).collect();
        for _ in 0..100_000 {
            drop(slots.join(None, false).unwrap());
            assert!(slots.len() <= 2 * kept.len() + SWEPT_AT);
        }
        for joined in &kept {
            assert!(slots.join(Some(&joined.link.property()), false).is_ok());
        }
    }

    #[test]
    fn facts_travel_between_vms_and_back() {
        let (mut here, mut elsewhere) = (Slots::new(HERE), Slots::new(ELSEWHERE));
        let mut first = here.join(None, true).unwrap();
        first.exchange.borrow_mut().facts.host = "mcp.example.com".to_owned();
        let property = first.link.store(&first.exchange.borrow().facts).unwrap();
        assert_eq!(first.link.store(&first.exchange.borrow().facts), None, "nothing has changed");

        let mut second = elsewhere.join(Some(&property), true).unwrap();
        assert_eq!(second.exchange.borrow().facts, first.exchange.borrow().facts);
        assert!(elsewhere.is_empty(), "the exchange is not that VM's to keep");
        second.exchange.borrow_mut().facts.released = true;
        let property = second.link.store(&second.exchange.borrow().facts).unwrap();

        first.link.load(Some(&property), &mut first.exchange.borrow_mut().facts);
        assert!(first.exchange.borrow().facts.released);
        // A third filter, in the VM of the first, finds the exchange itself.
        let third = here.join(Some(&property), true).unwrap();
        assert!(Rc::ptr_eq(&third.exchange, &first.exchange));
        // What is no facts is not believed.
        for broken in
            [None, Some(&property[..10]), Some([&property[..KEY], b"{\"host\":7}"].concat().as_slice())]
        {
            let facts = first.exchange.borrow().facts.clone();
            first.link.load(broken, &mut first.exchange.borrow_mut().facts);
            assert_eq!(first.exchange.borrow().facts, facts);
        }
    }

    #[test]
    fn an_exchange_that_cannot_be_seen_is_none() {
        let mut slots = Slots::new(HERE);
        let foreign = Slots::new(ELSEWHERE).join(None, false).unwrap().link.property();
        let unknown = [HERE.as_slice(), &7_u64.to_be_bytes()].concat();
        let wrong = [&foreign[..], b"{\"observed\":7}"].concat();
        for property in [foreign.as_slice(), &unknown, &wrong, &foreign[..KEY - 1], b""] {
            for separate_vms in [false, true] {
                assert_eq!(slots.join(Some(property), separate_vms).unwrap_err(), OutOfSight);
            }
        }
        assert!(slots.is_empty());
    }
}
