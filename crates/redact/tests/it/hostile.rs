use std::time::{Duration, Instant};

use crate::both;

const SIZE: usize = 1 << 20;

/// Linear work on a megabyte takes milliseconds, quadratic work minutes; the bound leaves room for a busy machine.
const BOUND: Duration = Duration::from_secs(10);

#[test]
fn a_megabyte_of_anything_is_searched_in_linear_time() {
    let deep = format!("{}{}", "[".repeat(SIZE), "]".repeat(SIZE));
    for unit in [
        "@",
        "1",
        "4",
        "a.",
        "a@a@",
        "a@aa.",
        "aa.aa@",
        "%40",
        "a%40a.aa",
        "4111 ",
        "4111-1111-",
        "4242 4242 4242 4242 ",
        "４",
        "9a4",
        "4.",
        "+4111",
        "é",
        "é@é.",
        "字.",
        ".@",
        "..",
        "\u{a0}",
        "-@",
        "_",
        "a@b.co 4111111111111111 ",
        r"\\",
        r"\u0040",
        r"\ud83d",
        "\u{ff10}4",
    ] {
        let text = unit.repeat(SIZE / unit.len());
        let started = Instant::now();
        let _ = both().text(text.as_bytes());
        let _ = both().json(format!("\"{text}\"").as_bytes());
        assert!(started.elapsed() < BOUND, "`{unit}` took {:?}", started.elapsed());
    }
    let started = Instant::now();
    assert!(both().json(deep.as_bytes()).is_ok());
    assert!(started.elapsed() < BOUND);
}
