export class PlainRough { static knows = () => false }
