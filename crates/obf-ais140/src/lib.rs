//! AIS-140 vehicle tracking frames: decoding, checksums, commands
