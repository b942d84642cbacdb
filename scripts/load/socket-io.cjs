// A socket.io server for the benchmark of several nodes: passes on what is for one member or for all
// others of a page. With REDIS, the URL of one, processes share members by the Redis Streams adapter.
const { createServer } = require('node:http')
const { Server } = require('socket.io')

async function adapter() {
  if (!process.env.REDIS) return undefined
  const { createClient } = require('redis')
  const { createAdapter } = require('@socket.io/redis-streams-adapter')
  const client = createClient({ url: process.env.REDIS })
  await client.connect()
  return createAdapter(client)
}

adapter().then((adapter) => {
  const http = createServer()
  const io = new Server(http, { transports: ['websocket'], pingInterval: 600_000, ...(adapter && { adapter }) })
  io.on('connection', (socket) => {
    const { id, page } = socket.handshake.query
    socket.join(`id ${id}`)
    if (page) socket.join(`page ${page}`)
    socket.on('to', (dst, payload) => io.to(`id ${dst}`).emit('m', payload))
    socket.on('all', (payload) => socket.to(`page ${page}`).emit('m', payload))
  })
  http.listen(Number(process.env.PORT), '127.0.0.1')
})
