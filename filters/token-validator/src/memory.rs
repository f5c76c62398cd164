use std::{
    cell::{RefCell, RefMut},
    rc::Rc,
};

use crate::{cache::Cache, keys::Keys};

/// What a worker of the proxy knows of tokens and keys. It outlives changes of the configuration: whoever makes stages
/// keeps one and gives it to all of them.
#[derive(Clone, Debug, Default)]
pub struct Memory(Rc<RefCell<Known>>);

/// The parts of [`Memory`].
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) tokens: Cache,
    pub(crate) keys: Keys,
}

impl Memory {
    pub(crate) fn known(&self) -> RefMut<'_, Known> {
        self.0.borrow_mut()
    }
}
