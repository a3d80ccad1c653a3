//! A disk that forgets what was not fsynced, for the durability tests (issue sentence 9): a SQLite VFS over the
//! operating system's. Reads, locks and shared memory are the system's own; of every write the VFS remembers whether a
//! sync has followed, and [`PowerLossVfs::after_power_loss`] writes down what would be left if the power failed now.
//!
//! Compiled only with the feature `fault-injection`, which no release build has.
#![expect(unsafe_code, reason = "a VFS is a table of C functions; only the durability tests link it")]

use rusqlite::ffi;
use std::{
    collections::BTreeMap,
    ffi::{CStr, CString, OsString, c_char, c_int, c_void},
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// A registered VFS with a disk of its own. It stays registered until the process ends.
#[derive(Debug)]
pub struct PowerLossVfs {
    name: CString,
    disk: Arc<Disk>,
}

/// What becomes of writes that no sync has followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// None of them reached the disk.
    Lost,
    /// Some did, whichever this seed selects: disks reorder.
    SomeKept {
        /// Selects them.
        seed: u64,
    },
}

impl PowerLossVfs {
    /// Registers a VFS of that name, which must be new.
    ///
    /// # Errors
    /// The name has a NUL in it, or SQLite refuses.
    pub fn register(name: &str) -> io::Result<Self> {
        let name = CString::new(name)?;
        // SAFETY: the default VFS is static; a null pointer asks for it.
        let system = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        if system.is_null() {
            return Err(io::Error::other("SQLite has no default VFS"));
        }
        let disk = Arc::<Disk>::default();
        let context = Box::leak(Box::new(Context { system, disk: disk.clone() }));
        // SAFETY: checked above; the struct is plain data, and its functions do not depend on its address.
        let mut vfs = unsafe { *system };
        vfs.szOsFile += c_int::try_from(size_of::<LossyFile>()).map_err(io::Error::other)?;
        vfs.pNext = std::ptr::null_mut();
        vfs.zName = name.clone().into_raw();
        vfs.pAppData = std::ptr::from_mut(context).cast();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        // SAFETY: name, context and table are leaked, so they live as long as the registration.
        let code = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0) };
        if code == ffi::SQLITE_OK { Ok(Self { name, disk }) } else { Err(io::Error::other("not registered")) }
    }

    /// Its name, for [`crate::Options::vfs`] or `Connection::open_with_flags_and_vfs`.
    pub fn name(&self) -> &CStr {
        &self.name
    }

    /// Writes into the directory what would be on the disk had the power failed at this moment.
    ///
    /// # Errors
    /// The system's, while writing there.
    pub fn after_power_loss(&self, directory: &Path, unsynced: Unsynced) -> io::Result<()> {
        for (name, content) in self.disk.left(unsynced) {
            std::fs::write(directory.join(name), content)?;
        }
        Ok(())
    }
}

/// What is durable of each file, by file name: a disk serves one directory.
#[derive(Debug, Default)]
struct Disk(Mutex<BTreeMap<OsString, Image>>);

/// Content becomes durable by a sync of the file, its name and its removal by one of the directory.
#[derive(Debug, Default)]
struct Image {
    name_is_durable: bool,
    removed: bool,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Truncate(usize),
}

impl Disk {
    fn files(&self) -> MutexGuard<'_, BTreeMap<OsString, Image>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `there` is the content of a file that was there before it was opened.
    fn opened(&self, name: &OsString, there: Option<Vec<u8>>) {
        let mut files = self.files();
        let image = files.entry(name.clone()).or_insert_with(|| Image {
            name_is_durable: there.is_some(),
            durable: there.unwrap_or_default(),
            ..Image::default()
        });
        if std::mem::take(&mut image.removed) {
            image.pending.push(Change::Truncate(0));
        }
    }

    fn changed(&self, name: &OsString, change: Change) {
        self.files().entry(name.clone()).or_default().pending.push(change);
    }

    fn synced(&self, name: &OsString) {
        if let Some(image) = self.files().get_mut(name) {
            image.pending.drain(..).for_each(|change| change.apply(&mut image.durable));
        }
    }

    fn deleted(&self, name: &OsString) {
        self.files().entry(name.clone()).or_default().removed = true;
    }

    fn directory_synced(&self) {
        let mut files = self.files();
        files.retain(|_, image| !image.removed);
        files.values_mut().for_each(|image| image.name_is_durable = true);
    }

    fn left(&self, unsynced: Unsynced) -> Vec<(OsString, Vec<u8>)> {
        let mut keep = match unsynced {
            Unsynced::Lost => None,
            Unsynced::SomeKept { seed } => Some(seed | 1),
        };
        let mut left = Vec::new();
        for (name, image) in self.files().iter().filter(|(_, image)| image.name_is_durable) {
            let mut content = image.durable.clone();
            for change in &image.pending {
                if keep.as_mut().is_some_and(coin) {
                    change.apply(&mut content);
                }
            }
            left.push((name.clone(), content));
        }
        left
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Truncate(size) => to.resize(*size, 0),
            Self::Write { offset, data } => {
                let end = offset + data.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                if let Some(place) = to.get_mut(*offset..end) {
                    place.copy_from_slice(data);
                }
            }
        }
    }
}

/// xorshift64: which writes survive need not be unpredictable, only varied.
fn coin(state: &mut u64) -> bool {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 63 == 1
}

struct Context {
    system: *mut ffi::sqlite3_vfs,
    disk: Arc<Disk>,
}

/// An open file: ours in front, the system's behind it in the same allocation, which SQLite made `szOsFile` long.
#[repr(C)]
struct LossyFile {
    base: ffi::sqlite3_file,
    /// `None` for a temporary file, which no power loss needs to remember.
    tracked: *mut Tracked,
}

struct Tracked {
    name: OsString,
    disk: Arc<Disk>,
    /// The system's VFS syncs the directory with the first sync of a log or journal.
    syncs_directory: AtomicBool,
}

/// The system's file behind ours.
unsafe fn behind(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: the allocation has room for both, see `szOsFile` in `register`.
    unsafe { file.cast::<LossyFile>().add(1).cast() }
}

unsafe fn tracked<'a>(file: *mut ffi::sqlite3_file) -> Option<&'a Tracked> {
    // SAFETY: `open` set it before any other call, `close` clears it after the last.
    unsafe { (*file.cast::<LossyFile>()).tracked.as_ref() }
}

unsafe fn file_name(path: *const c_char) -> Option<OsString> {
    if path.is_null() {
        return None;
    }
    // SAFETY: SQLite gives a NUL-terminated path.
    let path = unsafe { CStr::from_ptr(path) }.to_str().ok()?;
    Path::new(path).file_name().map(ToOwned::to_owned)
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: `vfs` is ours, so its data is a `Context`; `file` is uninitialised memory of `szOsFile` octets.
    unsafe {
        let context = &*(*vfs).pAppData.cast::<Context>();
        let before =
            if path.is_null() { None } else { std::fs::read(&*CStr::from_ptr(path).to_string_lossy()).ok() };
        let lossy = file.cast::<LossyFile>();
        (*lossy).base.pMethods = std::ptr::null();
        (*lossy).tracked = std::ptr::null_mut();
        let Some(system_open) = (*context.system).xOpen else { return ffi::SQLITE_CANTOPEN };
        let code = system_open(context.system, path, behind(file), flags, out_flags);
        if code != ffi::SQLITE_OK {
            // Set methods would make SQLite call close.
            return code;
        }
        if let Some(name) = file_name(path) {
            context.disk.opened(&name, before);
            let log = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;
            let syncs_directory = AtomicBool::new(flags & log != 0 && flags & ffi::SQLITE_OPEN_CREATE != 0);
            let tracked = Tracked { name, disk: context.disk.clone(), syncs_directory };
            (*lossy).tracked = Box::into_raw(Box::new(tracked));
        }
        (*lossy).base.pMethods = &raw const METHODS;
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, path: *const c_char, sync_directory: c_int) -> c_int {
    // SAFETY: as in `open`.
    unsafe {
        let context = &*(*vfs).pAppData.cast::<Context>();
        let Some(system_delete) = (*context.system).xDelete else { return ffi::SQLITE_IOERR_DELETE };
        let code = system_delete(context.system, path, sync_directory);
        if let (ffi::SQLITE_OK, Some(name)) = (code, file_name(path)) {
            context.disk.deleted(&name);
            if sync_directory != 0 {
                context.disk.directory_synced();
            }
        }
        code
    }
}

/// Version 2: shared memory for WAL, no memory-mapped reads and writes that would pass us by.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Calls the system's function of that name on the file behind.
macro_rules! system {
    ($file:ident . $method:ident ( $($argument:expr),* ) else $otherwise:expr) => {{
        // SAFETY: SQLite calls these only on files that `open` has opened, with arguments as documented.
        unsafe {
            let behind = behind($file);
            match (*behind).pMethods.as_ref().and_then(|methods| methods.$method) {
                Some(function) => function(behind $(, $argument)*),
                None => $otherwise,
            }
        }
    }};
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let code = system!(file.xClose() else ffi::SQLITE_IOERR_CLOSE);
    // SAFETY: made by `Box::into_raw` in `open`, and closed once.
    unsafe {
        let lossy = file.cast::<LossyFile>();
        if !(*lossy).tracked.is_null() {
            drop(Box::from_raw((*lossy).tracked));
            (*lossy).tracked = std::ptr::null_mut();
        }
    }
    code
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    system!(file.xRead(to, length, offset) else ffi::SQLITE_IOERR_READ)
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    let code = system!(file.xWrite(from, length, offset) else ffi::SQLITE_IOERR_WRITE);
    // SAFETY: SQLite gives `length` octets at `from`.
    unsafe {
        if let (ffi::SQLITE_OK, Some(tracked), Ok(length), Ok(offset)) =
            (code, tracked(file), usize::try_from(length), usize::try_from(offset))
        {
            let data = std::slice::from_raw_parts(from.cast::<u8>(), length).to_vec();
            tracked.disk.changed(&tracked.name, Change::Write { offset, data });
        }
    }
    code
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    let code = system!(file.xTruncate(size) else ffi::SQLITE_IOERR_TRUNCATE);
    // SAFETY: as in `system!`.
    if let (ffi::SQLITE_OK, Some(tracked), Ok(size)) = (code, unsafe { tracked(file) }, usize::try_from(size))
    {
        tracked.disk.changed(&tracked.name, Change::Truncate(size));
    }
    code
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let code = system!(file.xSync(flags) else ffi::SQLITE_IOERR_FSYNC);
    // SAFETY: as in `system!`.
    if let (ffi::SQLITE_OK, Some(tracked)) = (code, unsafe { tracked(file) }) {
        tracked.disk.synced(&tracked.name);
        if tracked.syncs_directory.swap(false, Ordering::Relaxed) {
            tracked.disk.directory_synced();
        }
    }
    code
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    system!(file.xFileSize(size) else ffi::SQLITE_IOERR_FSTAT)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    system!(file.xLock(level) else ffi::SQLITE_IOERR_LOCK)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    system!(file.xUnlock(level) else ffi::SQLITE_IOERR_UNLOCK)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, held: *mut c_int) -> c_int {
    system!(file.xCheckReservedLock(held) else ffi::SQLITE_IOERR_CHECKRESERVEDLOCK)
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    system!(file.xFileControl(operation, argument) else ffi::SQLITE_NOTFOUND)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    system!(file.xSectorSize() else 4096)
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    system!(file.xDeviceCharacteristics() else 0)
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    page_size: c_int,
    extend: c_int,
    to: *mut *mut c_void,
) -> c_int {
    system!(file.xShmMap(page, page_size, extend, to) else ffi::SQLITE_IOERR_SHMMAP)
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    system!(file.xShmLock(offset, count, flags) else ffi::SQLITE_IOERR_SHMLOCK)
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    system!(file.xShmBarrier() else ());
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    system!(file.xShmUnmap(delete) else ffi::SQLITE_OK)
}
