#!/usr/bin/env bash
# Boots another kernel in QEMU and runs a shell script there, as root: kernel.sh FOLDER SCRIPT PROGRAM... The programs
# and their libraries are there, in /bin. What the script leaves in /out is in FOLDER/out afterwards, and what it says in
# FOLDER/console. Exits with 3, and says why, where that cannot be tried.
set -euo pipefail
folder=$1 script=$2
shift 2
cannot() {
    echo "$*"
    exit 3
}
[ "$(uname -m)" = x86_64 ] || cannot 'the kernels at hand are for x86-64'
for program in qemu-system-x86_64 cpio dpkg-deb apt-get; do
    command -v $program >/dev/null || cannot "$program is not installed"
done

# Debian's stable kernel, unpacked once, not installed. It takes no KVM, which may hang in a virtual machine.
kernels=${XDG_CACHE_HOME:-$HOME/.cache}/argus/kernels
# What Debian builds as modules, in the order in which they need each other.
modules='fs/overlayfs/overlay net/vmw_vsock/vsock net/vmw_vsock/vmw_vsock_virtio_transport_common net/vmw_vsock/vsock_loopback'
kernel=$(ls "$kernels"/boot/vmlinuz-6.1.* 2>/dev/null | tail -n1 || true)
if [ -z "$kernel" ] || [ ! -d "$kernels/lib" ]; then
    package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-6\.1\.[^ ]*\).*/\1/p' | head -n1)
    [ -n "$package" ] || cannot 'this distribution has no package of Linux 6.1'
    mkdir -p "$kernels"
    (cd "$kernels" && apt-get download -qq "$package" 2>/dev/null) || cannot "$package cannot be downloaded"
    dpkg-deb --fsys-tarfile "$kernels/$package"_*.deb | tar -x -C "$kernels" ./boot ./lib/modules
    rm "$kernels/$package"_*.deb
    kernel=$(ls "$kernels"/boot/vmlinuz-6.1.* | tail -n1)
fi

# A static busybox: where the system's is none, or not static, the package's, unpacked once and not installed.
busybox=$(command -v busybox || true)
if [ -z "$busybox" ] || ldd "$busybox" >/dev/null 2>&1; then
    unpacked() { ls "$kernels"/{bin,usr/bin}/busybox 2>/dev/null | head -n1 || true; }
    if [ -z "$(unpacked)" ]; then
        (cd "$kernels" && apt-get download -qq busybox-static 2>/dev/null) || cannot 'busybox-static cannot be downloaded'
        dpkg-deb --fsys-tarfile "$kernels"/busybox-static_*.deb | tar -x -C "$kernels" --wildcards '*bin/busybox'
        rm "$kernels"/busybox-static_*.deb
    fi
    busybox=$(unpacked)
fi

root=$folder/root
# As Debian lays it out: /bin is /usr/bin.
mkdir -p "$root"/{usr/bin,programs,proc,sys,dev,tmp,etc,out} "$folder/out"
ln -s usr/bin "$root/bin"
cp "$busybox" "$root/bin/busybox"
for program in "$@"; do
    cp "$program" "$root/programs/"
    { ldd "$program" | grep -o '/[^ ]*' || true; } | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
done
mkdir -p "$root/modules"
for module in $modules; do
    cp "$kernels/lib/modules/${kernel##*/vmlinuz-}/kernel/$module.ko" "$root/modules/"
done
printf '%s\n' "$script" >"$root/script"
echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mv -f /programs/* /bin/
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /tmp
ifconfig lo 127.0.0.1 up
for module in MODULES; do
    insmod "/modules/${module##*/}.ko"
done
sh /script
# The console is the way out.
cd /out && tar -c . | base64 | sed 's/^/OUT /'
poweroff -f
INIT
sed -i "s|MODULES|$modules|" "$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$folder/initrd"
timeout 1500 qemu-system-x86_64 -accel tcg -cpu max -m 1024 -smp 2 -nographic -no-reboot -nic none -kernel "$kernel" \
    -initrd "$folder/initrd" -append 'console=ttyS0 quiet panic=1' </dev/null >"$folder/console" 2>&1
sed -n 's/^OUT //p' "$folder/console" | tr -d '\r' | base64 -d | tar -x -C "$folder/out"
sed -i '/^OUT /d' "$folder/console"
