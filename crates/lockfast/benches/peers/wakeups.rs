//! Processes that a release wakes, among many that wait.

use crate::Outcome;
use crate::bench::Bench;
use crate::contenders::Contender;
use crate::crew::Crew;
use crate::idle::until_asleep;
use crate::processes;
use crate::report::{Part, Table, in_short};
use crate::statistics::number;

const CONTENDERS: [Contender; 3] = [Contender::Raw, Contender::Lockfast, Contender::LockfastFifo];

const WAITERS: usize = 100;

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let releases = usize::try_from(bench.extent(90, 20))?;
    let mut table = Table::new(
        format!("Releases with {WAITERS} processes waiting"),
        &["contender", "releases", "woken in vain, of all"],
        "How often those who wait went to sleep again while others got the lock one after the \
         other, by the kernel's `voluntary_ctxt_switches`. In a herd it would be some 100 times a \
         release.",
    );
    let mut raw = None;
    for contender in bench.available(&CONTENDERS) {
        let in_vain = woken_in_vain(bench, contender, releases)?;
        table.row(vec![
            contender.to_string(),
            releases.to_string(),
            in_vain.to_string(),
        ]);
        let promise = format!("woken in vain at a release of {contender}, {WAITERS} waiting");
        let each = number(in_vain) / number(u64::try_from(releases)?);
        let raw = *raw.get_or_insert(each);
        part.at_most(0.1, &promise, Some(each), format!("raw {}", in_short(raw)));
    }
    part.table(table);
    Ok(())
}

fn woken_in_vain(bench: &Bench, contender: Contender, releases: usize) -> Outcome<u64> {
    let mut crew = bench.crew(WAITERS + 1, contender)?;
    let pids = crew.pids();
    crew.tell(0, "hold")?;
    expect(&crew, "asking")?;
    let mut holder = expect(&crew, "held")?;
    for member in 1..=WAITERS {
        crew.tell(member, "hold")?;
        expect(&crew, "asking")?;
    }
    until_asleep(pids[1..].iter().copied())?;

    let mut waiting: Vec<_> = (1..=WAITERS).collect();
    let mut in_vain = 0;
    for _ in 0..releases {
        let slept = |members: &[usize]| -> Outcome<Vec<u64>> {
            let sleeps = |&member: &usize| processes::times_slept(pids[member]);
            members.iter().map(sleeps).collect()
        };
        let before = slept(&waiting)?;
        crew.tell(holder, "go on")?;
        let mut said = [crew.hear()?, crew.hear()?];
        said.sort_by(|(_, one), (_, other)| one.cmp(other));
        let [(next, one), (_, other)] = said;
        if (&*one, &*other) != ("held", "released") {
            return Err(format!("workers of {contender} said {one:?} and {other:?}").into());
        }
        let after = slept(&waiting)?;
        let all = waiting.iter().zip(before.iter().zip(after));
        in_vain += all
            .filter(|&(&member, _)| member != next)
            .map(|(_, (before, after))| after - before)
            .sum::<u64>();
        waiting.retain(|&member| member != next);
        holder = next;
    }
    Ok(in_vain)
}

fn expect(crew: &Crew, expected: &str) -> Outcome<usize> {
    match crew.hear()? {
        (member, said) if said == expected => Ok(member),
        (_, said) => Err(format!("{said:?} instead of {expected:?}").into()),
    }
}
