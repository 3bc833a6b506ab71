use super::*;

fn file() -> File {
    tempfile::tempfile().expect("a file")
}

fn author(label: &str) -> Author {
    Author::this(label)
}

fn content(file: &File) -> String {
    let mut bytes = vec![0; 4096];
    let length = sys::file::read_at(file, &mut bytes, 0).expect("readable");
    String::from_utf8(bytes[..length].to_vec()).expect("plain text")
}

#[test]
fn each_hold_has_the_next_token_and_the_last_two_are_kept() {
    let file = file();
    for token in 1..=5 {
        let mut entry = Entry::begin(&file, &author("")).expect("written");
        assert_eq!(entry.token(), token);
        assert_eq!(entry.abandoned(), None);
        assert_eq!(holder(&file).expect("held").token(), token);
        entry.end(&file).expect("written");
        assert_eq!(holder(&file), None);
    }
    let text = content(&file);
    assert_eq!(text.lines().count(), 3);
    assert!(
        text.contains("token=4 ") && text.contains("token=5 "),
        "{text}"
    );
}

#[test]
fn the_next_holder_learns_who_did_not_release() {
    let file = file();
    let first = Entry::begin(&file, &author("nightly backup")).expect("written");
    let next = Entry::begin(&file, &author("")).expect("written");
    let owner = next.abandoned().expect("nobody released it");
    assert_eq!(owner.token(), first.token());
    assert_eq!(owner.label(), Some("nightly backup"));
    assert_eq!(owner.pid(), std::process::id());
    assert_eq!(owner.is_running(), Some(true));
    assert!(owner.since().elapsed().expect("in the past").as_secs() < 3600);
}

/// As the machine may crash in the middle of a write.
#[test]
fn a_record_that_is_torn_leaves_the_one_before_it() {
    let whole = file();
    let mut first = Entry::begin(&whole, &author("one")).expect("written");
    first.end(&whole).expect("written");
    let before = content(&whole);
    let second = Entry::begin(&whole, &author("two")).expect("written");
    let after = content(&whole);
    for length in before.len()..after.len() {
        let torn = file();
        sys::file::write_at(&torn, &after.as_bytes()[..length], 0).expect("written");
        let next = Entry::begin(&torn, &author("three")).expect("written");
        // The second was not told its token yet, so it may be given again, and nobody held it.
        let ended_within_the_padding = next.token() == second.token() + 1;
        assert!(next.token() == second.token() || ended_within_the_padding);
        assert_eq!(next.abandoned().is_some(), ended_within_the_padding);
    }
    for length in 0..before.len() {
        let torn = file();
        sys::file::write_at(&torn, &before.as_bytes()[..length], 0).expect("written");
        assert!(Entry::begin(&torn, &author("two")).is_ok(), "{length}");
    }
}

/// The write of a record is torn over an older one, of which the rest is still there.
#[test]
fn a_record_that_is_half_an_older_one_does_not_count() {
    let file = file();
    for label in ["one", "two"] {
        let mut entry = Entry::begin(&file, &author(label)).expect("written");
        entry.end(&file).expect("written");
    }
    let before = content(&file);
    let third = Entry::begin(&file, &author("three")).expect("written");
    let after = content(&file);
    assert_eq!((third.token(), before.len()), (3, after.len()));
    for written in 0..=after.len() {
        let torn = tempfile::tempfile().expect("a file");
        let mixed = format!("{}{}", &after[..written], &before[written..]);
        sys::file::write_at(&torn, mixed.as_bytes(), 0).expect("written");
        let next = Entry::begin(&torn, &author("four")).expect("written");
        let is_whole = mixed == after;
        assert_eq!(next.token(), if is_whole { 4 } else { 3 }, "{mixed}");
        assert_eq!(next.abandoned().is_some(), is_whole, "{mixed}");
    }
}

/// The same pid, but another start, another boot, or another machine or container.
#[test]
fn a_pid_that_is_used_again_is_another_process() {
    let mut reused = author("");
    reused.started += 1;
    assert_eq!(reused.is_running(), Some(false));
    let mut rebooted = author("");
    rebooted.boot = "0b1c".to_owned();
    assert_eq!(rebooted.is_running(), None);
    let mut elsewhere = author("");
    elsewhere.host.push_str("-2");
    assert_eq!(elsewhere.is_running(), None);
}

#[test]
fn other_content_is_left_alone() {
    for foreign in ["x", "12345\n", "# lockfast", "# lockfast owner record 2"] {
        let file = file();
        sys::file::write_at(&file, foreign.as_bytes(), 0).expect("written");
        if HEADER.starts_with(foreign) {
            assert!(Entry::begin(&file, &author("")).is_ok());
            continue;
        }
        let error = Entry::begin(&file, &author("")).expect_err("it is not ours");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(content(&file), foreign);
    }
    let longer = file();
    Entry::begin(&longer, &author("")).expect("written");
    Entry::begin(&longer, &author("")).expect("written");
    let length = content(&longer).len() as u64;
    sys::file::write_at(&longer, b"more", length).expect("written");
    assert!(read(&longer).is_err());
}

/// Other files are not even opened to look for a record.
#[test]
fn the_length_shows_whether_there_can_be_records() {
    let file = file();
    for _ in 0..2 {
        Entry::begin(&file, &author("")).expect("written");
        assert!(is_length(content(&file).len() as u64));
    }
    let length = content(&file).len() as u64;
    for other in [0, 1, length - 1, length + 1, 1 << 40] {
        assert!(!is_length(other), "{other}");
    }
}

#[test]
fn a_label_is_one_line_that_fits() {
    let longest = "l".repeat(MAX_LABEL);
    for label in ["", "nightly backup", &longest] {
        assert!(is_label(label), "{label}");
    }
    for none in [&format!("{longest}l"), " a", "a ", "a\nb", "\u{1b}[2J"] {
        assert!(!is_label(none), "{none:?}");
    }
}

#[test]
fn the_longest_names_fit() {
    let mut long = author(&"l".repeat(record::MAX_LABEL));
    long.host = "h".repeat(64);
    (long.pid, long.started) = (u32::MAX, u64::MAX);
    let record = Record {
        token: u64::MAX,
        is_held: false,
        since: SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(2_000_000_000),
        author: long,
    };
    let line = record.to_line();
    assert_eq!(line.len(), LENGTH);
    assert_eq!(Record::parse(&line), Some(record));
}

/// A token that wrapped round to 0 would be lower than every one before it.
#[test]
fn after_the_last_token_there_is_an_error_and_no_lower_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.lock");
    let record = Record {
        token: u64::MAX - 1,
        is_held: false,
        since: SystemTime::now(),
        author: author(""),
    };
    write(&File::create(&path).expect("a file"), 0, &record).expect("written");
    let options = crate::Lock::options().owner_record(true);
    let lock = options.open(&path).expect("opened");
    let last = lock.lock().expect("there is one more");
    assert_eq!(last.token(), Some(u64::MAX));
    drop(last);
    for _ in 0..2 {
        let error = lock.lock().expect_err("none is left").to_string();
        assert!(
            error.contains("a.lock") && error.contains("2^64-1"),
            "{error}"
        );
    }
    let text = std::fs::read_to_string(&path).expect("its records");
    assert!(
        text.contains(&format!("token={} state=released", u64::MAX)),
        "{text}"
    );
    // Who wants no record gets in: nobody holds it.
    let plain = crate::Lock::open(&path).expect("opened");
    drop(plain.try_lock().expect("nobody holds it"));
}
