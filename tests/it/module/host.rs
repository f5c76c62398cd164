//! The compiled module in an interpreter: instances, their memory, and the imports that lead to [`Proxy`].

use std::{cell::RefCell, path::PathBuf, rc::Rc, sync::OnceLock};

use wasmi::{Caller, Engine, Error, Extern, ExternType, Instance, Linker, Memory, Module, Store, Val};

use super::proxy::{OFFERED, Proxy};

/// The proxy's state, which all VMs of a gateway look at.
pub(super) type Shared = Rc<RefCell<Proxy>>;

/// One VM with one instance of the module.
pub(super) struct Vm {
    store: Store<Shared>,
    instance: Instance,
    next_context: u32,
}

/// The module's memory during an import.
pub(super) struct Guest<'a> {
    caller: Caller<'a, Shared>,
    memory: Memory,
}

/// The bytes of the module as `scripts/build` leaves it, or as `AIRLOCK_MODULE` names it.
pub(super) fn bytes() -> Vec<u8> {
    let built = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dist/airlock.wasm");
    let path = std::env::var_os("AIRLOCK_MODULE").map_or_else(built, PathBuf::from);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("no module at {} ({error}): run `scripts/build`, or set AIRLOCK_MODULE", path.display())
    })
}

/// The module, read and validated once in this process.
pub(super) fn module() -> &'static Module {
    static MODULE: OnceLock<Module> = OnceLock::new();
    MODULE.get_or_init(|| Module::new(&Engine::default(), bytes()).expect("the module is valid"))
}

/// Every import of the module, each known by name, led to [`Proxy::serve`].
fn linker() -> &'static Linker<Shared> {
    static LINKER: OnceLock<Linker<Shared>> = OnceLock::new();
    LINKER.get_or_init(|| {
        let mut linker = Linker::new(module().engine());
        for import in module().imports() {
            let (space, name) = (import.module(), import.name());
            let known = OFFERED.iter().find(|offer| **offer == (space, name));
            let (_, name) = known.unwrap_or_else(|| panic!("Envoy does not offer `{space}.{name}`"));
            let ExternType::Func(ty) = import.ty() else { panic!("`{space}.{name}` is no function") };
            linker
                .func_new(space, name, ty.clone(), move |caller, arguments, results| {
                    let arguments: Vec<u32> = arguments.iter().map(unsigned).collect();
                    let status = serve(caller, name, &arguments)?;
                    if let Some(result) = results.first_mut() {
                        *result = Val::I32(status.cast_signed());
                    }
                    Ok(())
                })
                .expect("an import stands once");
        }
        linker
    })
}

fn serve(caller: Caller<'_, Shared>, name: &'static str, arguments: &[u32]) -> Result<u32, Error> {
    if name == "proc_exit" {
        return Err(Error::new("the module exits"));
    }
    let proxy = Rc::clone(caller.data());
    let memory =
        caller.get_export("memory").and_then(Extern::into_memory).expect("the module exports its memory");
    let mut proxy = proxy.borrow_mut();
    match proxy.fault(name) {
        Some(status) => Ok(status),
        None => Ok(proxy.serve(name, arguments, &mut Guest { caller, memory })),
    }
}

impl Vm {
    /// A new instance of the module that talks to `proxy`.
    pub(super) fn start(proxy: &Shared) -> Self {
        let mut store = Store::new(module().engine(), Rc::clone(proxy));
        let instance =
            linker().instantiate_and_start(&mut store, module()).expect("the module can be instantiated");
        let mut vm = Self { store, instance, next_context: 1 };
        vm.call("_initialize", &[]);
        vm
    }

    /// Creates a context; `root` is 0 for a root context.
    pub(super) fn context(&mut self, root: u32) -> u32 {
        let context = self.next_context;
        self.next_context += 1;
        self.call("proxy_on_context_create", &[context, root]);
        context
    }

    /// Calls the module. A trap is the end of the test: no input whatsoever may bring one about.
    pub(super) fn call(&mut self, callback: &str, arguments: &[u32]) -> u32 {
        let function =
            self.instance.get_func(&self.store, callback).expect("the module exports the callback");
        let arguments: Vec<Val> = arguments.iter().map(|argument| Val::I32(argument.cast_signed())).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        if let Err(error) = function.call(&mut self.store, &arguments, &mut results) {
            let proxy = self.store.data().borrow();
            panic!("`{callback}` trapped: {error}; fault: {:?}; log: {:#?}", proxy.fault, proxy.log);
        }
        results.first().map_or(0, unsigned)
    }
}

impl Guest<'_> {
    pub(super) fn read(&self, at: u32, size: u32) -> Vec<u8> {
        let (at, size) = (at as usize, size as usize);
        self.memory.data(&self.caller)[at..at + size].to_vec()
    }

    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) {
        let at = at as usize;
        self.memory.data_mut(&mut self.caller)[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn number(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.read(at, 4).try_into().unwrap())
    }

    /// Hands over `bytes` in memory that the module allocates, and notes where they are and how many.
    pub(super) fn give(&mut self, bytes: &[u8], at: u32, size: u32) {
        let mut place = 0;
        if !bytes.is_empty() {
            let allocate =
                self.caller.get_export("proxy_on_memory_allocate").and_then(Extern::into_func).unwrap();
            let mut results = [Val::I32(0)];
            let wanted = [Val::I32(i32::try_from(bytes.len()).unwrap())];
            allocate.call(&mut self.caller, &wanted, &mut results).expect("the module gives memory");
            place = unsigned(&results[0]);
            self.write(place, bytes);
        }
        self.write(at, &place.to_le_bytes());
        self.write(size, &u32::try_from(bytes.len()).unwrap().to_le_bytes());
    }
}

fn unsigned(value: &Val) -> u32 {
    match value {
        Val::I32(number) => number.cast_unsigned(),
        // The one long number of the ABI is what is added to a counter.
        Val::I64(number) => u32::try_from(*number).unwrap(),
        other => panic!("the ABI has no values like {other:?} here"),
    }
}
