/** Wake-ups carry no data: a lost one costs time, never correctness. */
export abstract class WakeUps {
  /** Calls `wake` whenever someone committed something; answers how to stop. */
  abstract subscribe(wake: () => void): () => void;
}
