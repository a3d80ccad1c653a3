//! The permutation `Keccak-f[1600]` (FIPS 202 3.3, TS 35.232): 24 rounds over 25 lanes of 64 bits.

const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Where lane π moves to, walking the one cycle that holds every lane but (0, 0), and by how much ρ turns it.
const PI_AND_RHO: [(usize, u32); 24] = pi_and_rho();

/// Applies the permutation. Lane (x, y) is `lanes[x + 5 * y]`, octets in little-endian order.
#[expect(clippy::indexing_slicing, reason = "every index is a constant or a loop bound below 25")]
pub fn keccak_f1600(lanes: &mut [u64; 25]) {
    for constant in ROUND_CONSTANTS {
        let mut parity = [0; 5];
        for x in 0..5 {
            parity[x] = lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20];
        }
        for x in 0..5 {
            let theta = parity[(x + 4) % 5] ^ parity[(x + 1) % 5].rotate_left(1);
            for y in 0..5 {
                lanes[x + 5 * y] ^= theta;
            }
        }
        let mut carried = lanes[1];
        for (to, turn) in PI_AND_RHO {
            (lanes[to], carried) = (carried.rotate_left(turn), lanes[to]);
        }
        for y in 0..5 {
            let row = [lanes[5 * y], lanes[5 * y + 1], lanes[5 * y + 2], lanes[5 * y + 3], lanes[5 * y + 4]];
            for x in 0..5 {
                lanes[5 * y + x] = row[x] ^ (!row[(x + 1) % 5] & row[(x + 2) % 5]);
            }
        }
        lanes[0] ^= constant;
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn pi_and_rho() -> [(usize, u32); 24] {
    let mut out = [(0, 0); 24];
    let (mut x, mut y, mut step) = (1, 0, 0);
    while step < 24 {
        (x, y) = (y, (2 * x + 3 * y) % 5);
        out[step] = (x + 5 * y, ((step as u32 + 1) * (step as u32 + 2) / 2) % 64);
        step += 1;
    }
    out
}
