//! Help on keys and columns.

use ratatui::widgets::Paragraph;

const TEXT: &str = "\
WAITERS  number of waiters     WAIT  longest wait so far
HELD     how long it is held: from its owner record, or at least (≥) since it
         was first seen, as the kernel does not record when a lock was taken
PID      pid of a holder, and the number of other holders
MODE     reader, upgradable, writer, 1/4 permits; exclusive or shared for
         locks of other programs

up, down, page up, page down, home, end, k, j   select a lock
< >, left, right   sort by another column       r   reverse the order
/                  filter by path, command or pid; esc: show all locks
d, enter           show or hide holders and waiters of the selected lock
space, p           pause                        ctrl-l   redraw
ctrl-z             suspend                      q, ctrl-c   quit";

pub(super) fn text() -> Paragraph<'static> {
    Paragraph::new(TEXT)
}
