use super::*;
use crate::sys::Range;

#[test]
fn holders_come_before_waiters() {
    let (major, minor, kind) = (8, 1, Kind::Flock);
    let file = |inode| FileKey {
        major,
        minor,
        inode,
    };
    let lock = |start| LockRecord {
        kind,
        exclusive: true,
        range: Range { start, len: 0 },
    };
    let mut snapshot = Snapshot::default();
    for inode in [8, 7] {
        snapshot.requests.push(Request {
            file: file(inode),
            lock: lock(0),
            pid: None,
            since: None,
        });
        snapshot.descriptions.push(Description {
            file: file(inode),
            owners: Vec::new(),
            locks: vec![lock(5)],
        });
    }
    let report = Report::new(&snapshot);
    let order = report
        .locks
        .iter()
        .map(|lock| (lock.file.inode, lock.state));
    let (holding, waiting) = (State::Holding, State::Waiting);
    let expected = [(7, holding), (7, waiting), (8, holding), (8, waiting)];
    assert_eq!(order.collect::<Vec<_>>(), expected);
    assert!(!report.is_free());
}
