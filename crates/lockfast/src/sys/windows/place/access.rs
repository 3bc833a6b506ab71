//! The meaning of a security descriptor for a directory of locks.

use std::io;

use windows_sys::Win32::Foundation::GENERIC_ALL;
use windows_sys::Win32::Security::INHERIT_ONLY_ACE;
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_ADD_FILE, FILE_DELETE_CHILD, WRITE_DAC, WRITE_OWNER,
};

use crate::sys::windows::descriptor::{AccessEntry, Descriptor};
use crate::sys::windows::process;
use crate::sys::{FileSort, Others, Ownership};

/// Returns the owner, and the rights of everybody but the user and the system.
pub(super) fn ownership(descriptor: &Descriptor, sort: FileSort) -> io::Result<Ownership> {
    let user = process::user()?;
    let owner = descriptor.owner()?;
    let others = match descriptor.allowed()? {
        Some(entries) => others(&entries, &user),
        None => Others {
            enter: true,
            create: true,
            remove: true,
        },
    };
    Ok(Ownership {
        is_systems: is_system(&owner),
        is_users: owner == user,
        others,
        sort,
    })
}

fn others(entries: &[AccessEntry], user: &str) -> Others {
    let theirs = entries.iter().filter(|entry| {
        let who = entry.who.as_str();
        who != user && !is_system(who) && !OWNER.contains(&who)
    });
    let may = |rights: u32| {
        let mut here = theirs
            .clone()
            .filter(|entry| entry.flags & INHERIT_ONLY_ACE == 0);
        here.any(|entry| entry.rights & (rights | GENERIC_ALL) != 0)
    };
    Others {
        // Rights that only its files inherit count too.
        enter: theirs.clone().next().is_some(),
        create: may(FILE_ADD_FILE),
        remove: may(FILE_DELETE_CHILD | DELETE | WRITE_DAC | WRITE_OWNER),
    }
}

/// Whether it is somebody who may do everything anyway: the system, its administrators, or its installer.
fn is_system(who: &str) -> bool {
    const INSTALLER: &str = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
    ["S-1-5-18", "S-1-5-32-544", INSTALLER].contains(&who)
}

/// The owner, and the creator of a file.
const OWNER: [&str; 2] = ["S-1-3-0", "S-1-3-4"];

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "S-1-5-21-1-2-3-1000";
    const USERS: &str = "S-1-5-32-545";

    fn entry(who: &str, rights: u32, flags: u32) -> AccessEntry {
        AccessEntry {
            who: who.to_owned(),
            rights,
            flags,
        }
    }

    #[test]
    fn the_system_the_user_and_the_owner_are_not_others() {
        let all = ["S-1-5-18", "S-1-5-32-544", USER, "S-1-3-0"];
        let entries = all.map(|who| entry(who, u32::MAX, 0));
        let found = others(&entries, USER);
        assert!(!found.enter && !found.create && !found.remove);
        assert!(others(&entries, "S-1-5-21-1-2-3-1001").remove);
    }

    #[test]
    fn where_programs_keep_their_data_everybody_creates_and_nobody_removes() {
        // The set-up of Windows: all users read everything, and may create files and directories.
        let entries = [
            entry("S-1-5-18", 0x001F_01FF, 3),
            entry("S-1-3-0", GENERIC_ALL, 11),
            entry(USERS, 0x0012_00A9, 3),
            entry(USERS, 0x0000_0116, 2),
        ];
        let found = others(&entries, USER);
        assert!(found.enter && found.create && !found.remove);
    }

    #[test]
    fn each_right_by_which_things_can_be_moved_away_counts() {
        for right in [
            FILE_DELETE_CHILD,
            DELETE,
            WRITE_DAC,
            WRITE_OWNER,
            GENERIC_ALL,
        ] {
            assert!(others(&[entry(USERS, right, 0)], USER).remove, "{right:x}");
            let of_its_files = others(&[entry(USERS, right, INHERIT_ONLY_ACE)], USER);
            assert!(!of_its_files.remove && of_its_files.enter, "{right:x}");
        }
    }
}
