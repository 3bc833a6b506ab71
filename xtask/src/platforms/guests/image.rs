//! The image that guests start from: Debian's kernel, and a file system with little more than the command.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian;
use crate::platforms::linked;
use crate::step::{self, Failure, Outcome};

#[derive(Debug)]
pub(super) struct Image {
    folder: PathBuf,
    version: String,
}

/// Programs that run the guests and create their file system, with their packages.
const PROGRAMS: [(&str, &str); 4] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("cpio", "cpio"),
    ("gzip", "gzip"),
];

/// Programs in the file system; their libraries are added.
const PACKAGES: [&str; 12] = [
    "cifs-utils",
    "keyutils",
    "kmod",
    "libcap-ng0",
    "libevent-core-2.1-7",
    "libnfsidmap1",
    "libtirpc3",
    "libwbclient0",
    "libwrap0",
    "nfs-common",
    "nfs-kernel-server",
    "rpcbind",
];

const KERNEL: &str = "linux-image-cloud-amd64";

impl Image {
    /// Creates the missing parts of the image, with the present build of the command.
    pub(super) fn make() -> Result<Self, Failure> {
        debian::require(&PROGRAMS)?;
        let folder = crate::platforms::folder().join("guests");
        let packages = folder.join("packages");
        let known = folder.join("version");
        if !known.exists() {
            debian::update()?;
            let kernel = debian::dependency(KERNEL, "linux-image-")?;
            if packages.exists() {
                fs::remove_dir_all(&packages)
                    .map_err(|error| step::failed("remove", &packages, &error))?;
            }
            let all: Vec<_> = PACKAGES.into_iter().chain([kernel.as_str()]).collect();
            debian::unpack(&all, &packages)?;
            let version = kernel.trim_start_matches("linux-image-");
            fs::write(&known, version).map_err(|error| step::failed("write", &known, &error))?;
        }
        let version =
            fs::read_to_string(&known).map_err(|error| step::failed("read", &known, &error))?;
        let image = Self { folder, version };
        let mut make = Command::new(step::root().join("xtask/guests/image.sh"));
        make.arg(&packages)
            .arg(&image.version)
            .arg(image.folder.join("base"));
        step::run(&mut make)?;
        image.add_command(&linked::build_static()?)?;
        Ok(image)
    }

    /// Appends the command to the file system: the kernel unpacks one archive over the other.
    fn add_command(&self, command: &Path) -> Outcome {
        let tree = self.folder.join("command");
        let archive = self.folder.join("command.cpio");
        let packed = || -> io::Result<bool> {
            fs::create_dir_all(tree.join("bin"))?;
            fs::copy(command, tree.join("bin/lockfast"))?;
            let mut pack = Command::new("sh");
            pack.args(["-c", "find . | cpio --quiet -o -H newc | gzip -1"]);
            let packed = pack
                .current_dir(&tree)
                .stdout(File::create(&archive)?)
                .status()?;
            let mut whole = File::create(self.file_system())?;
            for part in [self.folder.join("base"), archive.clone()] {
                io::copy(&mut File::open(part)?, &mut whole)?;
            }
            Ok(packed.success())
        };
        match packed() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure("cpio failed".to_owned())),
            Err(error) => Err(step::failed("make", &archive, &error)),
        }
    }

    /// The folder of the image and of all files of the guests.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of a socket that no other run uses.
    pub(super) fn socket(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{}", std::process::id()))
    }

    pub(super) fn kernel(&self) -> PathBuf {
        self.folder
            .join(format!("packages/boot/vmlinuz-{}", self.version))
    }

    pub(super) fn file_system(&self) -> PathBuf {
        self.folder.join("image")
    }
}
