/** Types that llama.cpp's key and value cache may have, in its own terms. */
export const kvCacheTypes = ["f32", "f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"] as const;
export type KvCacheType = (typeof kvCacheTypes)[number];

export const isQuantised = (type: KvCacheType | undefined): boolean => type !== undefined && !type.startsWith("f");
