#!/bin/bash
# The first file system of all guests: busybox, the programs of NFS and SMB with their libraries, and
# the modules of the kernel that these need.
# image.sh PACKAGES VERSION IMAGE: unpacked packages, the kernel's version, and the file to write.
set -euo pipefail
packages=$1 version=$2 image=$3
here=$(dirname "$(readlink -f "$0")")
tree=$(mktemp -d "$image.XXXXXX")
trap 'rm -rf "$tree"' EXIT

mkdir -p "$tree"/{bin,sbin,lib,lib64,etc,usr/sbin,var/lib/nfs/{sm,sm.bak,v4recovery,rpc_pipefs}}
cp /bin/busybox "$tree/bin/"
cp "$here/init" "$tree/init"
chmod 755 "$tree/init"

libraries=$packages/usr/lib/x86_64-linux-gnu:$packages/lib/x86_64-linux-gnu
for name in exportfs rpc.mountd rpc.nfsd rpcbind rpc.statd sm-notify mount.nfs mount.cifs; do
    program=$(find "$packages/sbin" "$packages/usr/sbin" -name $name | head -n 1)
    cp "$program" "$tree/sbin/"
    LD_LIBRARY_PATH=$libraries ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
        cp -Ln "$library" "$tree/lib/"
    done
done
cp -L /lib64/ld-linux-x86-64.so.2 "$tree/lib64/"
cp -L /lib/x86_64-linux-gnu/libnss_files.so.2 "$tree/lib/"
ln -s mount.nfs "$tree/sbin/mount.nfs4"
# statd starts it by this path.
ln -s ../../sbin/sm-notify "$tree/usr/sbin/sm-notify"

modules=(virtio_pci virtio_net nfsd nfsv3 nfsv4 lockd cifs nls_utf8
    cmac hmac ccm gcm ghash-generic seqiv ecb md4 md5 sha256_generic sha512_generic aes_generic ctr)
# One program has all these names.
mkdir "$tree/kmod"
for name in depmod modprobe; do
    ln -s "$packages/bin/kmod" "$tree/kmod/$name"
done
"$tree/kmod/depmod" -b "$packages" "$version"
for module in "${modules[@]}"; do
    "$tree/kmod/modprobe" -d "$packages" -S "$version" --show-depends "$module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | while read -r module; do
    mkdir -p "$tree/$(dirname "${module#"$packages"}")"
    cp "$module" "$tree${module#"$packages"}"
done
"$tree/kmod/depmod" -b "$tree" "$version"
rm -r "$tree/kmod"

cat >"$tree/etc/netconfig" <<END
udp tpi_clts v inet udp - -
tcp tpi_cots_ord v inet tcp - -
local tpi_cots_ord - loopback - - -
END
cat >"$tree/etc/rpc" <<END
portmapper 100000 portmap sunrpc rpcbind
nfs 100003 nfsprog
mountd 100005 mount showmount
nlockmgr 100021
status 100024
END
echo 'root:x:0:0:root:/:/bin/sh
_rpc:x:107:107::/run:/bin/false
statd:x:106:107::/var/lib/nfs:/bin/false' >"$tree/etc/passwd"
echo 'root:x:0:
nogroup:x:107:' >"$tree/etc/group"
for database in passwd group hosts services protocols rpc; do
    echo "$database: files"
done >"$tree/etc/nsswitch.conf"
cp /etc/services /etc/protocols "$tree/etc/" 2>/dev/null || true
printf '127.0.0.1 localhost\n10.0.1.1 server\n10.0.1.2 one\n10.0.2.2 other\n' >"$tree/etc/hosts"

(cd "$tree" && find . | cpio --quiet -o -H newc | gzip -1) >"$image.new"
mv "$image.new" "$image"
