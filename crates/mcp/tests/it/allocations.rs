//! How often memory is asked for while a message is read.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::parse;

/// The system's allocator, and a count for each thread: tests run beside one another.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

#[expect(
    unsafe_code,
    reason = "an allocator can be replaced in no other way; each call goes to the system's as it is"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(memory, layout, size) }
    }
}

fn allocations(arguments: &str) -> usize {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{{{arguments}}}}}}}"#
    );
    let before = COUNT.with(Cell::get);
    parse(&body).unwrap();
    COUNT.with(Cell::get) - before
}

#[test]
fn members_and_elements_cost_no_allocation() {
    let usual = allocations(r#""text":"x""#);
    assert!(usual < 16, "{usual} for a small message");
    let record = r#"{"id":1,"name":"Ada","tags":["a","b",[1.5,true,null]],"text":"é\n","\u0061":0}"#;
    for (shape, arguments, more) in [
        ("one large string", format!(r#""text":"{}""#, "line\\n".repeat(10_000)), 0),
        (
            "many numbers",
            format!(
                r#""rows":[{}0]"#,
                "1234567,0.1234567890123456789e1,".repeat(5_000).replace("6789e", "e")
            ),
            0,
        ),
        // Escaped names are decoded into one buffer, which grows to the longest object's.
        ("many objects", format!(r#""rows":[{}]"#, [record; 5_000].join(",")), 2),
        // What is kept of each name grows in doubling steps, and once more to compare them.
        (
            "one large object",
            (0..50_000).map(|index| format!(r#""{index}":0"#)).collect::<Vec<_>>().join(","),
            24,
        ),
    ] {
        let count = allocations(&arguments);
        assert!(count <= usual + more, "{shape}: {count}, and {usual} for a small message");
    }
}
