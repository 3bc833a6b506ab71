use super::*;

#[test]
fn a_command_line_is_one_line_and_moves_no_cursor() {
    let mut process = Process {
        pid: 1,
        parent: None,
        user: None,
        name: "sh".to_owned(),
        command: ["sh", "-c", "a b", "", "\u{1b}[2J\n"]
            .map(Into::into)
            .to_vec(),
        started: None,
        threads: 1,
        own_pid: 1,
        is_stopped: false,
        acts_as_one: true,
    };
    assert_eq!(process.command_line(), r#"sh -c "a b" "" "\u{1b}[2J\n""#);
    process.command.clear();
    assert_eq!(process.to_string(), "pid 1 ([sh])");
}

#[test]
fn each_gap_is_reported() {
    type Gap = (fn(&mut Incomplete), &'static str);
    let none = || Incomplete {
        unnamed: 0,
        unreadable_processes: 0,
        hidden_processes: false,
        other_pid_namespaces: false,
        other_machines: false,
        shared_unseen: false,
        unread_records: 0,
    };
    let gaps: [Gap; 10] = [
        (|gap| gap.unnamed = 1, "the process of 1 lock was not found"),
        (|gap| gap.unnamed = 2, "the processes of 2 locks were not"),
        (|gap| gap.unreadable_processes = 1, "1 process of another"),
        (|gap| gap.unreadable_processes = 2, "2 processes of other"),
        (|gap| gap.hidden_processes = true, "(hidepid)"),
        (|gap| gap.other_pid_namespaces = true, "of this container"),
        (|gap| gap.other_machines = true, "of other machines"),
        (|gap| gap.shared_unseen = true, "who has a shared lock"),
        (
            |gap| gap.unread_records = 1,
            "record of 1 lock was not read",
        ),
        (|gap| gap.unread_records = 2, "records of 2 locks were not"),
    ];
    for (number, (open, text)) in gaps.iter().enumerate() {
        let mut gap = none();
        open(&mut gap);
        let told = gap.to_string();
        let reason = told.strip_prefix("not everything could be seen: ");
        assert!(reason.is_some_and(|reason| reason.contains(text)), "{told}");
        // It tells of nothing else.
        for (_, other) in gaps.iter().enumerate().filter(|(at, _)| *at != number) {
            assert!(!told.contains(other.1), "{told}");
        }
    }
}

#[test]
fn a_record_describes_only_its_author_and_a_lock_that_it_holds() {
    let own = std::process::id();
    let view = |state, mode, pid| LockView {
        file: LockedFile {
            path: None,
            is_deleted: false,
            device: (8, 1),
            inode: 7,
        },
        kind: Kind::Ofd,
        mode,
        role: None,
        state,
        permits: None,
        range: (0, None),
        processes: vec![Process {
            pid,
            parent: None,
            user: None,
            name: "sh".to_owned(),
            command: Vec::new(),
            started: None,
            threads: 1,
            own_pid: pid,
            is_stopped: false,
            acts_as_one: true,
        }],
        since: None,
        label: None,
        is_record_unread: false,
    };
    let is_told = |state, mode, pid, owner: &Owner| {
        let mut view = view(state, mode, pid);
        view.add_record(owner);
        assert_eq!(view.since.is_some(), view.label.is_some());
        view.since.is_some()
    };
    let (holding, alone) = (State::Holding, LockMode::Exclusive);
    let owner = Owner::sample(None);
    assert!(is_told(holding, alone, own, &owner));
    assert!(!is_told(holding, alone, own + 1, &owner));
    assert!(!is_told(holding, LockMode::Shared, own, &owner));
    assert!(!is_told(State::Waiting, alone, own, &owner));
    // Whether that one still runs is not known.
    assert!(!is_told(holding, alone, own, &Owner::sample(Some("0b1c"))));
}
