// Whether the tour was seen or refused here; it offers itself only once.
const KEY = 'tour'

export const isTourDone = () => localStorage.getItem(KEY) !== null
export const endTour = () => localStorage.setItem(KEY, 'done')
