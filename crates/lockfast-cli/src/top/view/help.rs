//! What the keys do and the columns mean.

use ratatui::widgets::Paragraph;

const TEXT: &str = "\
WAITERS  how many wait     WAIT  how long the one that has waited longest
HELD     since when it is held: by its owner record, or (≥) since it was seen
         first, as the kernel does not tell; so it was in each look since then
PID      of a holder, and how many more hold it
MODE     reader, upgradable, writer, 1/4 permits; of other programs' locks
         exclusive or shared

up, down, page up, page down, home, end, k, j   select a lock
< >, left, right   sort by another column       r   the other way round
/                  only locks with a text in path, command or pid; esc: all
d, enter           show or hide who holds the selected lock and who waits
space, p           pause                        ctrl-l   draw again
ctrl-z             suspend                      q, ctrl-c   quit";

pub(super) fn text() -> Paragraph<'static> {
    Paragraph::new(TEXT)
}
