//! OBF_Token: token id, key schemas gba-me and obf-1, sealed envelopes
