use crate::{assert_cleaned, assert_untouched};

#[test]
fn addresses_are_found() {
    assert_cleaned(&[
        ("bob@example.com", "[EMAIL]"),
        ("a@b.co", "[EMAIL]"),
        ("first.last+tag@sub.example.co.uk", "[EMAIL]"),
        ("_x-y%z@example.org", "[EMAIL]"),
        ("o'brien@example.com", "[EMAIL]"),
        ("bob@163.com", "[EMAIL]"),
        ("bob@1.2.3.example.com", "[EMAIL]"),
        ("BOB@EXAMPLE.COM", "[EMAIL]"),
        ("josé.garcía@exämple.es", "[EMAIL]"),
        ("jose\u{301}@example.es", "[EMAIL]"),
        ("用户@例子.广告", "[EMAIL]"),
        ("bob@xn--e1afmkfd.xn--p1ai", "[EMAIL]"),
        ("bob@my_host.example.com", "[EMAIL]"),
        ("bob.@example.jp", "[EMAIL]"),
        ("@bob@social.example", "@[EMAIL]"),
        ("a%40example.com", "[EMAIL]"),
        ("?to=bob%40example.com&x=1", "?to=[EMAIL]&x=1"),
        ("100@example.com", "[EMAIL]"),
        ("git@example.com", "[EMAIL]"),
    ]);
}

#[test]
fn what_surrounds_an_address_stays() {
    assert_cleaned(&[
        ("Write to bob@example.com.", "Write to [EMAIL]."),
        ("bob@example.com, eve@example.org; x", "[EMAIL], [EMAIL]; x"),
        ("Bob <bob@example.com>", "Bob <[EMAIL]>"),
        ("'bob@example.com'", "'[EMAIL]'"),
        ("**bob@example.com**", "**[EMAIL]**"),
        ("|`bob@example.com`|", "|`[EMAIL]`|"),
        ("(mailto:bob@example.com?subject=x)", "(mailto:[EMAIL]?subject=x)"),
        ("bob@example.com-", "[EMAIL]-"),
        ("bob@example.com_old", "[EMAIL]_old"),
        ("bob@example.com...", "[EMAIL]..."),
        ("...bob@example.com", "...[EMAIL]"),
        ("a..b@example.com", "a..[EMAIL]"),
        ("bob@example.com:secret", "[EMAIL]:secret"),
        ("bob@example.com/path", "[EMAIL]/path"),
        ("请写信给：bob@example.com请回复", "请写信给：[EMAIL]请回复"),
        (r"line\nbob@example.com\n", r"line\n[EMAIL]\n"),
        (r"\u00e9bob@example.com", r"\u00e9[EMAIL]"),
        ("a@b.com@c.com", "[EMAIL]"),
    ]);
}

#[test]
fn a_password_before_a_host_is_hidden() {
    assert_cleaned(&[
        ("https://user:pass@host.com", "https://user:[EMAIL]"),
        ("https://user:pass@host.com/x?y", "https://user:[EMAIL]/x?y"),
        ("https://user@host.com/", "https://[EMAIL]/"),
    ]);
}

#[test]
fn what_only_looks_like_an_address_stays() {
    assert_untouched(&[
        "user@localhost",
        "@handle",
        "@scope/pkg",
        "npm i @scope/pkg@1.2.3",
        "foo@1.2.3",
        "foo@1.2.3-beta.rc",
        "foo@^1.2",
        "user@192.168.1.1",
        "user@[192.168.1.1]",
        "git@github.com:org/repo",
        "ssh://git@github.com/org/repo",
        "https://example.com/@user.name",
        "maps/@37.77,-122.41",
        "logo@2x.png",
        "image@sha256:e3b0c44298fc1c149afbf4c8996fb924",
        "a @ b.com",
        "a@ b.com",
        "a@.com",
        "a@-b.com",
        "a@b..com",
        "a@b.c",
        "a@b.c0m",
        "com.example.Thing@1a2b3c",
        "50%40",
        "100%4099",
        "@",
    ]);
}

#[test]
fn lengths_are_limited() {
    let word = "a".repeat(64);
    assert_cleaned(&[(&format!("{word}@example.com"), "[EMAIL]")]);
    assert_untouched(&[&format!("{word}a@example.com")]);
    let rule = "-".repeat(70);
    assert_cleaned(&[(&format!("{rule}bob@example.com"), &format!("{rule}[EMAIL]"))]);
    let sentence = "字".repeat(40);
    assert!(crate::cleaned(&format!("{sentence}bob@example.com")).ends_with("[EMAIL]"));
    let labels = "a.".repeat(126);
    assert_untouched(&[&format!("bob@{labels}com")]);
    let labels = "a.".repeat(125);
    assert_cleaned(&[(&format!("bob@{labels}com"), "[EMAIL]")]);
}
